//! Other people's programs read the pages: `promtool` and Prometheus' own Python parser. Each says why
//! it is left out where it is not installed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tapetum_testkit::skip_this;

use super::*;

/// Gives `input` to a program; `None` if it is not there.
fn ask(program: &str, arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut child = match Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(why) => {
            skip_this("exporters", &format!("needs {program}: {why}"));
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program}: {said}");
    Some(said)
}

/// Everything once, and every metric that there is.
fn page(accept: &str) -> Vec<u8> {
    let every = tapetum_otlp::names::METRICS
        .into_iter()
        .map(|metric| match metric.instrument() {
            tapetum_model::Instrument::Histogram => Point {
                metric,
                ..round_trips(&[0.001])
            },
            tapetum_model::Instrument::Gauge => point(metric, "all", PointValue::Gauge(1.0)),
            _ => sum(metric, "all", 1),
        });
    let points = everything().into_iter().chain(every).collect();
    render(points, &agent(), accept, true).1
}

#[test]
fn promtool_finds_nothing_to_say() {
    if let Some(said) = ask("promtool", &["check", "metrics"], &page(TEXT)) {
        assert_eq!(said, "");
    }
}

#[test]
fn the_parser_of_prometheus_reads_every_sample() {
    let has_it = |python: &&&str| {
        let import = Command::new(python)
            .args(["-c", "import prometheus_client"])
            .output();
        import.is_ok_and(|it| it.status.success())
    };
    // The system's own is behind one that a person installed, and only it has Debian's packages.
    let Some(python) = ["python3", "/usr/bin/python3"].iter().find(has_it) else {
        skip_this("exporters", "needs python3-prometheus-client");
        return;
    };
    for (accept, module) in [
        (TEXT, "prometheus_client.parser"),
        (OPEN_METRICS, "prometheus_client.openmetrics.parser"),
    ] {
        let script = format!(
            "import sys, {module} as p\n\
             families = list(p.text_string_to_metric_families(sys.stdin.read()))\n\
             print(sum(len(f.samples) for f in families))"
        );
        let page = page(accept);
        let samples = String::from_utf8_lossy(&page)
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        let said = ask(python, &["-c", &script], &page).unwrap();
        assert_eq!(said.trim(), samples.to_string(), "{module}");
    }
}
