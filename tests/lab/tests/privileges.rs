//! The agent as it should be deployed: nobody's user, with the two or three capabilities that it needs.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Ledger, Pipelines, Server, Span,
    ledger::total,
    traffic::{self, Plan},
};

/// Counts a connection through a virtual IP with an agent that has only these capabilities.
/// `tracked`: whether these capabilities are enough to ask connection tracking.
fn judge(test: &str, capabilities: &str, tracked: bool) -> Result<()> {
    let Some(mut lab) = Lab::to_judge(test, &["setpriv"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let asked = SocketAddr::new(lab.virtual_v4(1), 80);
    node.publish(asked, &[address])?;
    let server = Server::start(&server_pod, address)?;
    let only = |option: &str| format!("--{option}=-all,{capabilities}");
    let (bounding, inheritable, ambient) =
        (only("bounding-set"), only("inh-caps"), only("ambient-caps"));
    let through = [
        "setpriv",
        "--reuid=65532",
        "--regid=65532",
        "--clear-groups",
        "--no-new-privs",
        &bounding,
        &inheritable,
        &ambient,
    ];
    let mut agent = Agent::launch_through(&node, "agent", &Pipelines::default(), &through)?;
    agent.ready()?;
    let sent = traffic::send(
        &client,
        &Plan {
            to: asked,
            connections: 5,
            ..Plan::default()
        },
    )?;
    let received = server.counts(5)?;
    let ledger = agent.ledger_until("all ends", |l| l.has_ended(&sent, &received))?;
    for (id, here) in &sent {
        let there = &received[id];
        let (client, server) = (ledger.client(here), ledger.server(there));
        assert_eq!(total(client, "flow.bytes.sent"), here.sent, "{client:#?}");
        assert_eq!(total(server, "flow.bytes.sent"), there.sent, "{server:#?}");
        assert_eq!(
            client[0].address("network.peer"),
            Some(address),
            "who answered, by both ends"
        );
    }
    // Where nobody answers, only connection tracking knows who was asked in the end.
    server_pod.nft(&format!(
        "add table ip deaf\nadd chain ip deaf in {{ type filter hook input priority 0; }}\n\
         add rule ip deaf in tcp dport {} drop\n",
        address.port()
    ))?;
    client.sysctl(&["net/ipv4/tcp_syn_retries=1"])?;
    let plan = Plan {
        to: asked,
        ..Plan::default()
    };
    assert!(traffic::send(&client, &plan).is_err(), "nobody answers");
    let of_failure = |l: &Ledger| {
        let failed = |span: &&&Span| span.text("error.type") == "timeout";
        let spans = l.of_server(asked);
        spans
            .iter()
            .find(failed)
            .map(|span| span.address("network.peer"))
    };
    let ledger = agent.ledger_until("the failed connect", |l| of_failure(l).is_some())?;
    let known = if tracked { address } else { asked };
    assert_eq!(of_failure(&ledger), Some(Some(known)), "not guessed");
    Ok(())
}

#[test]
fn bpf_and_perfmon_are_enough_for_connections() -> Result<()> {
    judge(
        "bpf_and_perfmon_are_enough_for_connections",
        "+bpf,+perfmon",
        false,
    )
}

#[test]
fn with_net_admin_connection_tracking_is_asked_too() -> Result<()> {
    judge(
        "with_net_admin_connection_tracking_is_asked_too",
        "+bpf,+perfmon,+net_admin",
        true,
    )
}

/// In a PID namespace of its own the agent has another number for itself than the kernel has.
#[test]
fn in_a_pid_namespace_of_its_own_it_still_knows_itself() -> Result<()> {
    let test = "in_a_pid_namespace_of_its_own_it_still_knows_itself";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let through = ["unshare", "--pid", "--fork", "--kill-child"];
    let mut agent = Agent::launch_through(&node, "agent", &Pipelines::default(), &through)?;
    agent.ready()?;
    // Each question is a connection that its admin server accepts.
    let own = [("reason", "self")];
    agent.own_counter_until("tapetum_records_filtered_total", &own, 3.0)?;
    Ok(())
}
