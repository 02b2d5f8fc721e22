//! More connections than may be tracked: the agent lives, and what it does not track it counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapetum_lab::{Agent, Lab, Ledger, Pipelines, Server, Span, agent, traffic, until};

const LOST: &str = "tapetum_records_lost_total";

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent watches the kernel, not its lab: the thousands of one test here would take the hundred places of the other.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn connections_beyond_the_limit_are_counted() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let test = "connections_beyond_the_limit_are_counted";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let pipelines = Pipelines {
        receiver: "max_connections = 100".to_owned(),
        ..Pipelines::default()
    };
    let agent = Agent::start(&node, "agent", &pipelines)?;
    let held = traffic::hold(&client, address, 150)?;
    let beyond = [("reason", "max_connections")];
    // Both ends of each; other labs may take of the hundred, and then more are beyond it.
    agent.own_counter_until(LOST, &beyond, 200.0)?;

    // Room is made by closing, and used again.
    drop(held);
    server.counts(150)?;
    let again = agent.ledger_until("those that were tracked", |l| {
        !l.of_server(address).is_empty()
    })?;
    assert!(again.of_server(address).len() <= 100);
    let mut small = traffic::Plan {
        to: address,
        first: 1000,
        ..traffic::Plan::default()
    };
    // Sockets of others on this kernel may be quicker to take the room: one of several is tracked.
    let mut sent = BTreeMap::new();
    until("a later connection to be tracked", PATIENCE, || {
        small.first += small.connections;
        sent.extend(traffic::send(&client, &small)?);
        let ledger = Ledger::of(agent.spans()?);
        let is_over = |count| ledger.client(count).last().is_some_and(Span::is_last);
        Ok(sent.values().any(is_over).then_some(()))
    })
}

/// The budget that the agent prints as it starts.
fn printed_budget(log: &str) -> Result<u64> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let total = lines.filter_map(|line| line["total_bytes"].as_u64()).next();
    total.with_context(|| format!("no budget is printed: {log}"))
}

#[test]
fn the_printed_budget_holds_with_twice_the_sockets() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let test = "the_printed_budget_holds_with_twice_the_sockets";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let _server = Server::start(&server_pod, address)?;
    let pipelines = Pipelines {
        receiver: "max_connections = 3_000".to_owned(),
        ..Pipelines::default()
    };
    let mut agent = Agent::start(&node, "free", &pipelines)?;
    let budget = printed_budget(&agent.log())?;
    agent.stop()?;

    // The kernel limits whole pages.
    let group = lab
        .memory_limit(budget.next_multiple_of(4096))?
        .join("cgroup.procs")
        .display()
        .to_string();
    let through = [
        "sh",
        "-c",
        r#"echo $$ >"$1" && shift && exec "$@""#,
        "sh",
        &group,
    ];
    let mut agent = Agent::launch_through(&node, "limited", &pipelines, &through)?;
    agent.ready()?;
    // Three thousand connections have six thousand ends.
    let held = traffic::hold(&client, address, 3_000)?;
    let label = [("server_port", address.port().to_string())];
    let label: Vec<(&str, &str)> = label
        .iter()
        .map(|(name, port)| (*name, port.as_str()))
        .collect();
    let active = agent::sum(&agent.metrics()?, "tcp_connections_active", &label);
    assert!(active > 1_000.0, "{active} of 3000 are tracked");
    let beyond = [("reason", "max_connections")];
    agent.own_counter_until(LOST, &beyond, 3_000.0)?;
    drop(held);
    agent.ledger_until("the ends of those that were tracked", |l| {
        l.of_server(address)
            .iter()
            .filter(|span| span.is_last())
            .count()
            > 1_000
    })?;
    Ok(())
}
