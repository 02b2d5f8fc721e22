//! The agent as the chart lets it be: uid 0 with three capabilities and no way to more, in a cgroup namespace of
//! its own where the node's cgroups are mounted. It must know the containers that were there before it.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::ledger::total;
use tapetum_lab::traffic::{self, Plan};
use tapetum_lab::{Agent, Lab, Pipelines, Server};

const CONTAINER: &str = "4f1c0d8e2b7a96350d1e4c8b7f2a6953e0d4c1b8a7f6e5d4c3b2a190817263f5";
const PRIVILEGES: &str = "-all,+bpf,+perfmon,+net_admin";

#[test]
fn an_agent_with_the_charts_privileges_names_containers() -> Result<()> {
    let test = "an_agent_with_the_charts_privileges_names_containers";
    let Some(mut lab) = Lab::to_judge(test, &["setpriv"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let pod = "kubepods.slice/kubepods-pod0b5b2f0e_6f7c_4d4b_9f2e_1c2d3e4f5a6b.slice";
    let server_pod = node
        .pod("server")?
        .in_cgroup(&format!("{pod}/cri-containerd-{CONTAINER}.scope"))?;
    let client = node.pod("client")?;
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let server = Server::start(&server_pod, address)?;

    let bounding = format!("--bounding-set={PRIVILEGES}");
    let through = [
        "unshare",
        "--cgroup",
        "--mount",
        "setpriv",
        &bounding,
        "--inh-caps=-all",
        "--no-new-privs",
    ];
    let mut agent = Agent::launch_through(&node, "agent", &Pipelines::default(), &through)?;
    agent.ready()?;
    let plan = Plan {
        to: address,
        connections: 3,
        ..Plan::default()
    };
    let sent = traffic::send(&client, &plan)?;
    let received = server.counts(3)?;
    let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
    for (id, there) in &received {
        let spans = ledger.server(there);
        assert_eq!(total(spans, "flow.bytes.received"), sent[id].sent);
        let container = spans[0].resource_text("container.id");
        assert_eq!(container, CONTAINER, "{:#?}", spans[0]);
        assert_eq!(
            spans[0].resource_text("k8s.pod.uid"),
            "0b5b2f0e-6f7c-4d4b-9f2e-1c2d3e4f5a6b"
        );
    }
    assert!(agent.stop()?.success());
    Ok(())
}
