//! The real programs that judge or that are sent to: each starts in a lab, answers, and ends with it.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapetum_lab::{
    Collector, Curl, Iperf, Jaeger, Lab, Prometheus,
    prometheus::promtool_complaints,
    tools::{kernel_counter, nginx, python},
};

#[test]
fn real_programs_run_in_pods() -> Result<()> {
    let tools = ["iperf3", "nginx", "nstat", "python3"];
    let Some(mut lab) = Lab::for_test("real_programs_run_in_pods", &tools)? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server) = (node.pod("client")?, node.pod("server")?);
    for (index, address) in [(1, server.v4()), (2, server.v6())] {
        let address = SocketAddr::new(address, lab.port(index));
        let mut iperf = Iperf::serve(&server, address.port())?;
        // Packets are up to 64 KiB large here: of a few hundred some are lost for certain.
        node.lose(address.port(), 5)?;
        let before = kernel_counter(&client, "TcpRetransSegs")?;
        let run = Iperf::run(&client, address, &["--bytes", "40M", "--parallel", "2"])?;
        let resent = kernel_counter(&client, "TcpRetransSegs")? - before;
        assert_eq!((run.ports.len(), run.retransmits.len()), (2, 2));
        let told = run.retransmits.iter().sum::<u64>();
        assert!(told > 0 && told <= resent, "{run:?}, the kernel {resent}");
        iperf.wait(std::time::Duration::from_secs(10))?;
        node.forward_all()?;
    }
    let address = SocketAddr::new(server.v4(), lab.port(4));
    let _python = python(&server, address, 70_000)?;
    let page = Curl::of(&client, &format!("http://{address}/page"))?;
    assert!(page.sent > 20 && page.received > 70_000, "{page:?}");
    let address = SocketAddr::new(server.v6(), lab.port(3));
    let _nginx = nginx(&server, address)?;
    let times = Curl::of(&client, &format!("http://{address}/"))?;
    assert!(
        times.local_port > 0 && times.connect > 0.0 && times.total >= times.connect,
        "{times:?}"
    );
    Ok(())
}

#[test]
fn prometheus_answers() -> Result<()> {
    let tools = ["prometheus", "promtool"];
    let Some(mut lab) = Lab::for_test("prometheus_answers", &tools)? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let own = "127.0.0.1:9090".to_owned();
    let prometheus = Prometheus::start(&node, &own, std::slice::from_ref(&own))?;
    let up = prometheus.settle("sum(up)", 1.0)?;
    assert!((up - 1.0).abs() < f64::EPSILON);
    assert_eq!(
        promtool_complaints("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n")?,
        ""
    );
    assert_ne!(promtool_complaints("# TYPE a counter\na 1\n")?, "");
    Ok(())
}

#[test]
fn the_collector_passes_a_span_on_to_jaeger() -> Result<()> {
    let test = "the_collector_passes_a_span_on_to_jaeger";
    let Some(lab) = Lab::for_test(test, &["go"])? else {
        return Ok(());
    };
    let (wire, outside) = (lab.wire()?, lab.outside().to_string());
    let jaeger = Jaeger::start(&wire, &outside)?;
    let collector = Collector::start(&wire, &outside, Some(jaeger.otlp()), None)?;
    // One span by OTLP/HTTP, whose JSON needs no encoder.
    let now_ns = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_nanos();
    let span = serde_json::json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "lab" } }] },
        "scopeSpans": [{ "spans": [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "hello",
            "kind": 3, "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": now_ns.to_string(),
        }] }],
    }] });
    let url = format!("http://{}/v1/traces", collector.http());
    let body = span.to_string();
    wire.run(
        "curl",
        &[
            "-sS",
            "--fail-with-body",
            "-H",
            "content-type: application/json",
            "-d",
            &body,
            &url,
        ],
    )?;
    let trace = jaeger.trace("0af7651916cd43dd8448eb211c80319c", 1)?;
    assert_eq!(trace["spans"][0]["operationName"], Value::from("hello"));
    assert!(collector.log().contains("b7ad6b7169203331"));
    let now_ms = now_ns / 1_000_000;
    assert_eq!(jaeger.dependencies(now_ms + 1000)?, Vec::new());
    Ok(())
}

#[test]
fn a_server_that_cannot_start_says_so() -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../backends/run");
    let output = Command::new(script)
        .args(["start", "jaeger"])
        .output()
        .context("no script")?;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: run build"));
    Ok(())
}
