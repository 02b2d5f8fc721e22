//! More connections than may be tracked: the agent lives, and what it does not track it counts.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::{Agent, Lab, Pipelines, Server, agent, traffic};

#[test]
fn connections_beyond_the_limit_are_counted() -> Result<()> {
    let test = "connections_beyond_the_limit_are_counted";
    let Some(mut lab) = Lab::to_judge(test, &["curl"])? else {
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
    let counted = agent::sum(&agent.own_metrics()?, "tapetum_records_lost_total", &beyond);
    // Both ends of each; other labs may take of the hundred, and then more are beyond it.
    assert!(
        counted >= 200.0,
        "{counted} counted of 300 ends with room for 100"
    );

    // Room is made by closing, and used again.
    drop(held);
    server.counts(150)?;
    let again = agent.ledger_until("those that were tracked", |l| {
        !l.of_server(address).is_empty()
    })?;
    assert!(again.of_server(address).len() <= 100);
    let small = traffic::Plan {
        to: address,
        first: 1000,
        ..traffic::Plan::default()
    };
    let sent = traffic::send(&client, &small)?;
    agent.ledger_until("a connection after it", |l| l.has_ended(&sent, &[].into()))?;
    Ok(())
}
