//! A long connection in several spans: each of its own period, their sum the whole, all in one trace.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Pipelines, Server, Span, Talk,
    ledger::total,
    traffic::{self, Count},
};

#[test]
fn a_long_connections_spans_sum_to_its_total() -> Result<()> {
    let test = "a_long_connections_spans_sum_to_its_total";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let pipelines = Pipelines {
        interval: "1s".to_owned(),
        ..Pipelines::default()
    };
    let agent = Agent::start(&node, "agent", &pipelines)?;

    let mut talk = Talk::open(&client, address, 1)?;
    for period in 1..=3 {
        let count = talk.exchange(70_000, 50_000)?;
        agent.ledger_until("a span of the period", |l| {
            let spans = l.client(&count);
            spans.len() >= period && total(spans, "flow.bytes.sent") == count.sent
        })?;
    }
    let sent = [(1, talk.end("fin")?)].into();
    let received = server.counts(1)?;
    let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
    let (client, server) = (ledger.client(&sent[&1]), ledger.server(&received[&1]));
    sums_up(&sent[&1], client);
    sums_up(&received[&1], server);
    assert_eq!(client[0].trace, server[0].trace);
    assert_eq!(server[0].parent, client[0].id);
    Ok(())
}

/// The spans of one end are the whole of it, in order, and the last one says so.
fn sums_up(count: &Count, spans: &[Span]) {
    assert!(spans.len() >= 4, "three periods and the end: {spans:#?}");
    assert_eq!(total(spans, "flow.bytes.sent"), count.sent, "{spans:#?}");
    assert_eq!(
        total(spans, "flow.bytes.received"),
        count.received,
        "{spans:#?}"
    );
    let (first, rest) = (&spans[0], &spans[1..]);
    for (earlier, later) in spans.iter().zip(rest) {
        assert!(
            earlier.end_ns <= later.start_ns,
            "periods overlap: {earlier:#?} {later:#?}"
        );
        assert!(
            !earlier.is_last(),
            "only the last has an end reason: {earlier:#?}"
        );
        assert_eq!(
            (&later.trace, &later.parent),
            (&first.trace, &first.id),
            "children of the first"
        );
    }
    let last = &spans[spans.len() - 1];
    for measure in [
        "flow.bytes.sent",
        "flow.bytes.received",
        "flow.packets.sent",
        "flow.packets.received",
    ] {
        assert_eq!(
            last.count(&format!("{measure}.total")),
            total(spans, measure),
            "{measure}"
        );
    }
}

#[test]
fn a_silent_period_has_no_span() -> Result<()> {
    let Some(mut lab) = Lab::to_judge("a_silent_period_has_no_span", &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let _server = Server::start(&server_pod, address)?;
    let other = SocketAddr::new(server_pod.v4(), lab.port(2));
    let _other = Server::start(&server_pod, other)?;
    let pipelines = Pipelines {
        interval: "1s".to_owned(),
        ..Pipelines::default()
    };
    let agent = Agent::start(&node, "agent", &pipelines)?;

    let mut silent = Talk::open(&client, address, 1)?;
    let count = silent.exchange(1000, 1000)?;
    agent.ledger_until("what it said", |l| {
        total(l.client(&count), "flow.bytes.sent") == count.sent
    })?;
    let before = agent.ledger_until("spans", |_| true)?.client(&count).len();
    // Another connection measures the time: so many of its periods have passed meanwhile.
    let mut talkative = Talk::open(&client, other, 2)?;
    for period in 1..=3 {
        let count = talkative.exchange(1000, 1000)?;
        agent.ledger_until("the other's period", |l| l.client(&count).len() >= period)?;
    }
    let after = agent.ledger_until("spans", |_| true)?.client(&count).len();
    assert_eq!(after, before, "nothing moved, nothing is said");
    drop((silent, talkative));
    Ok(())
}

#[test]
fn a_server_end_is_told_once_its_client_is_gone() -> Result<()> {
    let test = "a_server_end_is_told_once_its_client_is_gone";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v6(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let plan = traffic::Plan {
        to: address,
        connections: 50,
        at_once: 10,
        ..traffic::Plan::default()
    };
    let sent = traffic::send(&client, &plan)?;
    let received = server.counts(50)?;
    let ledger = agent.ledger_until("all ends", |l| l.has_ended(&sent, &received))?;
    for (id, here) in &sent {
        let (client, server) = (ledger.client(here), ledger.server(&received[id]));
        assert_eq!(
            (client.len(), server.len()),
            (1, 1),
            "{client:#?} {server:#?}"
        );
        assert_eq!(
            client[0].name, server[0].name,
            "named after the same server"
        );
    }
    Ok(())
}
