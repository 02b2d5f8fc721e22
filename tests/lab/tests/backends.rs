//! Real servers at the other end of the wire: Jaeger shows the trace, the Collector takes everything.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use tapetum_lab::{
    Agent, Collector, Jaeger, Lab, Pipelines, Server,
    traffic::{self, Plan},
};

#[test]
fn jaeger_has_both_spans_and_the_edge() -> Result<()> {
    let Some(mut lab) = Lab::to_judge("jaeger_has_both_spans_and_the_edge", &["go"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let client = node.pod("client")?;
    let server_pod = node.pod("server")?;
    let (wire, outside) = (lab.wire()?, lab.outside().to_string());
    let jaeger = Jaeger::start(&wire, &outside)?;
    let spans_to = Some(format!("http://{}", jaeger.otlp()));
    let agent = Agent::start(
        &node,
        "agent",
        &Pipelines {
            spans_to,
            ..Pipelines::default()
        },
    )?;
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let sent = traffic::send(
        &client,
        &Plan {
            to: address,
            ..Plan::default()
        },
    )?;
    let received = server.counts(1)?;
    let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
    let (client, server) = (
        &ledger.client(&sent[&1])[0],
        &ledger.server(&received[&1])[0],
    );

    let trace = jaeger.trace(&client.trace, 2)?;
    let spans = trace["spans"].as_array().into_iter().flatten();
    let ids: Vec<&str> = spans.filter_map(|span| span["spanID"].as_str()).collect();
    assert_eq!(ids.len(), 2, "{trace:#}");
    assert!(
        ids.contains(&client.id.as_str()) && ids.contains(&server.id.as_str()),
        "{trace:#}"
    );

    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let edge = (
        client.resource_text("service.name").to_owned(),
        server.resource_text("service.name").to_owned(),
    );
    assert_ne!(edge.0, edge.1);
    let edges = jaeger.dependencies(now_ms)?;
    assert!(edges.contains(&edge), "{edge:?} in {edges:?}");
    Ok(())
}

#[test]
fn the_collector_takes_spans_and_metrics() -> Result<()> {
    let test = "the_collector_takes_spans_and_metrics";
    let Some(mut lab) = Lab::to_judge(test, &["go"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let (wire, outside) = (lab.wire()?, lab.outside().to_string());
    let collector = Collector::start(&wire, &outside, None, None)?;
    let target = Some(format!("http://{}", collector.otlp()));
    let pipelines = Pipelines {
        spans_to: target.clone(),
        points_to: target,
        ..Pipelines::default()
    };
    let mut agent = Agent::start(&node, "agent", &pipelines)?;
    let address = SocketAddr::new(server_pod.v6(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let sent = traffic::send(
        &client,
        &Plan {
            to: address,
            connections: 30,
            ..Plan::default()
        },
    )?;
    let received = server.counts(30)?;
    let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
    let own = [collector.otlp(), "127.0.0.1:9465", "127.0.0.1:9464"];
    for address in own {
        assert!(
            ledger.of_server(address.parse()?).is_empty(),
            "what the agent does itself: {address}"
        );
    }
    for reason in ["self", "loopback"] {
        let labels = [("reason", reason)];
        agent.own_counter_until("tapetum_records_filtered_total", &labels, 1.0)?;
    }
    // Ending drains: what was to be sent has been taken.
    assert!(agent.stop()?.success());
    let log = collector.log();
    for (id, count) in &sent {
        for span in [&ledger.client(count)[0], &ledger.server(&received[id])[0]] {
            let times = log
                .matches(&format!("ID             : {}", span.id))
                .count();
            assert!(times >= 1, "the Collector has no span {}", span.id);
        }
    }
    for name in ["network.flow.bytes", "tcp.connections.opened", "tcp.rtt"] {
        assert!(
            log.contains(&format!("-> Name: {name}\n")),
            "the Collector has no {name}"
        );
    }
    Ok(())
}
