//! Metrics in a real Prometheus: scraped, clean, and every byte counted once by one query.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Result;
use tapetum_lab::{
    Agent, Collector, Lab, Pipelines, Pod, Prometheus, Server,
    prometheus::promtool_complaints,
    traffic::{self, Count, Plan},
};

/// Payload in both directions, as the client counted it.
#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn bytes(counts: &BTreeMap<u64, Count>) -> f64 {
    counts
        .values()
        .map(|count| (count.sent + count.received) as f64)
        .sum()
}

/// The query of the product's promise: every byte once, wherever its ends are.
fn transmitted(port: u16) -> String {
    format!(
        "sum(network_flow_bytes_total{{network_io_direction=\"transmit\",server_port=\"{port}\"}})"
    )
}

fn exchange(client: &Pod, server_pod: &Pod, port: u16) -> Result<f64> {
    let address = SocketAddr::new(server_pod.v4(), port);
    let server = Server::start(server_pod, address)?;
    let plan = Plan {
        to: address,
        connections: 20,
        up: 123_456,
        down: 65_432,
        vary: 7,
        at_once: 4,
        ..Plan::default()
    };
    let sent = traffic::send(client, &plan)?;
    server.counts(sent.len())?;
    Ok(bytes(&sent))
}

fn assert_same(told: f64, counted: f64) {
    assert!(
        (told - counted).abs() < 0.5,
        "{told} told, {counted} counted"
    );
}

#[test]
fn a_scrape_counts_every_byte_once() -> Result<()> {
    let test = "a_scrape_counts_every_byte_once";
    let tools = ["prometheus", "promtool"];
    let Some(mut lab) = Lab::to_judge(test, &tools)? else {
        return Ok(());
    };
    let (near, far) = (lab.node("near")?, lab.node("far")?);
    let (client, beside, away) = (near.pod("client")?, near.pod("beside")?, far.pod("away")?);
    let agent = Agent::start(&near, "agent", &Pipelines::default())?;
    let prometheus = Prometheus::start(&near, "127.0.0.1:9090", &[agent.scrape_target()])?;
    for (index, server) in [(1, &beside), (2, &away)] {
        let port = lab.port(index);
        let counted = exchange(&client, server, port)?;
        assert_same(prometheus.settle(&transmitted(port), counted)?, counted);
        let received = transmitted(port).replace("transmit", "receive");
        assert_same(prometheus.settle(&received, counted)?, counted);
        let opened = format!(
            "sum(tcp_connections_opened_total{{network_io_direction=\"transmit\",server_port=\"{port}\"}})"
        );
        assert_same(prometheus.settle(&opened, 20.0)?, 20.0);
    }
    assert_same(prometheus.number("up{job=\"tapetum\"}")?, 1.0);
    assert_same(
        prometheus.number("count(target_info{job=\"tapetum\"})")?,
        1.0,
    );
    for exposition in [agent.metrics()?, agent.own_metrics()?] {
        assert!(!exposition.is_empty());
        assert_eq!(promtool_complaints(&exposition)?, "");
    }
    Ok(())
}

#[test]
fn a_scrape_sees_what_ended_before_it() -> Result<()> {
    let test = "a_scrape_sees_what_ended_before_it";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server) = (node.pod("client")?, node.pod("server")?);
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let port = lab.port(1);
    let counted = exchange(&client, &server, port)?;
    // Once the spans are out, the pipeline has the records: a scrape then must not be short of them.
    let address = SocketAddr::new(server.v4(), port);
    agent.ledger_until("all spans", |l| l.of_server(address).len() >= 40)?;
    let port = port.to_string();
    let labels = [
        ("network_io_direction", "transmit"),
        ("server_port", port.as_str()),
    ];
    let told = tapetum_lab::agent::sum(&agent.metrics()?, "network_flow_bytes_total", &labels);
    assert_same(told, counted);
    Ok(())
}

#[test]
fn two_agents_through_one_collector_have_a_writer_a_series() -> Result<()> {
    let test = "two_agents_through_one_collector_have_a_writer_a_series";
    let tools = ["prometheus", "go"];
    let Some(mut lab) = Lab::to_judge(test, &tools)? else {
        return Ok(());
    };
    let (near, far) = (lab.node("near")?, lab.node("far")?);
    let (client, server) = (near.pod("client")?, far.pod("server")?);
    let (wire, outside) = (lab.wire()?, lab.outside());
    let prometheus = Prometheus::start(&wire, &format!("{outside}:9090"), &[])?;
    let collector = Collector::start(
        &wire,
        &outside.to_string(),
        None,
        Some(&prometheus.write_url()),
    )?;
    let points_to = Some(format!("http://{}", collector.otlp()));
    let pipelines = Pipelines {
        points_to,
        ..Pipelines::default()
    };
    let _agents = [
        Agent::start(&near, "near", &pipelines)?,
        Agent::start(&far, "far", &pipelines)?,
    ];

    // On one kernel each agent sees both ends, so each one's series must sum to all bytes.
    let port = lab.port(1);
    let by_instance = transmitted(port).replace("sum(", "sum by (instance) (");
    let each = |of: f64| -> Result<f64> {
        assert_same(
            prometheus.settle(&format!("count({by_instance})"), 2.0)?,
            2.0,
        );
        prometheus.settle(&format!("min({by_instance})"), of)
    };
    let first = exchange(&client, &server, port)?;
    assert_same(each(first)?, first);
    let since = latest(&prometheus, port)?;
    let second = exchange(&client, &server, port)?;
    assert_same(each(first + second)?, first + second);

    let mut increases = BTreeMap::new();
    for (series, until) in latest(&prometheus, port)? {
        let from = since.get(&series).copied().unwrap_or(until);
        assert!(from < until, "a new series: {series}");
        // From sample to sample, so that nothing is extrapolated.
        let window = format!(
            "{series}[{}ms] @ {}.{:03}",
            until - from,
            until / 1000,
            until % 1000
        );
        assert_same(prometheus.number(&format!("resets({window})"))?, 0.0);
        let instance = series.split("instance=").nth(1).unwrap_or_default();
        let instance = instance.split(',').next().unwrap_or_default().to_owned();
        *increases.entry(instance).or_insert(0.0) +=
            prometheus.number(&format!("sum(increase({window}))"))?;
    }
    assert_eq!(increases.len(), 2, "{increases:?}");
    for increase in increases.values() {
        assert_same(*increase, second);
    }
    Ok(())
}

/// Each transmit series of this port, as a selector, and the time of its last sample in milliseconds.
fn latest(prometheus: &Prometheus, port: u16) -> Result<BTreeMap<String, u64>> {
    let selector = transmitted(port).replace("sum(", "").replace(')', "");
    let mut series = BTreeMap::new();
    for one in prometheus.query(&format!("{selector}[5m]"))? {
        let labels = one["metric"].as_object().into_iter().flatten();
        let labels: Vec<String> = labels
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let last = one["values"]
            .as_array()
            .and_then(|values| values.last()?[0].as_f64());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time after 1970"
        )]
        let last_ms = (last.unwrap_or(0.0) * 1000.0).round() as u64;
        series.insert(
            format!("network_flow_bytes_total{{{}}}", labels.join(",")),
            last_ms,
        );
    }
    Ok(series)
}
