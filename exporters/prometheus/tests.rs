//! What `prometheus` promises of a page in each format; `tests/decode` reads protobuf back by
//! definitions of its own, `tests/served` talks to the server, `tests/judges` and
//! `tests/scraped` ask other people's programs.

use std::sync::Arc;

use tapetum_model::{
    Attr, Attributes, Exemplar, ExponentialHistogram, Metric, Point, PointValue, SpanId, TraceId,
    UnixNanos, Value,
};
use tapetum_testkit::{context, settings};

use super::*;

mod decode;
mod judges;
mod scraped;
mod served;

const TEXT: &str = "text/plain";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
const START: UnixNanos = UnixNanos(1_767_225_600_250_000_000);

fn agent() -> Agent {
    Agent {
        cluster: "prod \"1\"".into(),
        node: "node-1".into(),
        host: "host-1".into(),
        instance: "instance-1".into(),
        version: "0.1.0".into(),
    }
}

fn attributes(source: &str, port: i64) -> Arc<Attributes> {
    let end = |role: fn(Box<Attr>) -> Attr| role(Box::new(Attr::ServiceName));
    Arc::new(Attributes(Box::new([
        (end(Attr::Source), Value::Text(source.into())),
        (end(Attr::Destination), Value::Text("api".into())),
        (Attr::NetworkIoDirection, Value::Static("transmit")),
        (Attr::ServerPort, Value::Int(port)),
    ])))
}

fn point(metric: Metric, source: &str, value: PointValue) -> Point {
    Point {
        metric,
        attributes: attributes(source, 443),
        start: START,
        time: START,
        value,
        exemplar: None,
    }
}

fn sum(metric: Metric, source: &str, cumulative: i64) -> Point {
    let value = PointValue::Sum {
        cumulative,
        delta: 1,
    };
    point(metric, source, value)
}

fn round_trips(values: &[f64]) -> Point {
    let mut histogram = ExponentialHistogram::default();
    for value in values {
        histogram.record(*value);
    }
    let value = PointValue::Histogram {
        cumulative: Arc::new(histogram),
        delta: None,
    };
    point(Metric::Rtt, "web", value)
}

fn exemplar(value: f64) -> Option<Exemplar> {
    Some(Exemplar {
        trace: TraceId([0xab; 16]),
        span: SpanId([0x0c; 8]),
        value,
        time: START,
    })
}

/// One of everything, with values that need care.
fn everything() -> Vec<Point> {
    let mut failed = sum(Metric::ConnectionsFailed, "web", 3);
    failed.exemplar = exemplar(1.0);
    let mut rtt = round_trips(&[0.000_03, 0.001, 0.001, 0.25, 30.0]);
    rtt.exemplar = exemplar(0.25);
    vec![
        sum(Metric::FlowBytes, "web", 9_007_199_254_740_993),
        sum(Metric::FlowBytes, "quo\"te \\ and\nnew line", 1),
        sum(Metric::ConnectionsActive, "web", -1),
        failed,
        rtt,
        point(Metric::WindowEnd, "web", PointValue::Gauge(1.5e18)),
        sum(Metric::ProbeRunTime, "web", 2_500_000_000),
        point(Metric::Resets, "gone", PointValue::Ended),
    ]
}

fn text_of(points: Vec<Point>, accept: &str, created: bool) -> String {
    String::from_utf8(render(points, &agent(), accept, created).1).unwrap()
}

#[test]
fn text_is_what_it_should_be() {
    let expected = include_str!("tests/everything.txt");
    assert_eq!(text_of(everything(), TEXT, true), expected);
}

#[test]
fn open_metrics_is_what_it_should_be() {
    let expected = include_str!("tests/everything.openmetrics.txt");
    assert_eq!(text_of(everything(), OPEN_METRICS, true), expected);
    let without = text_of(everything(), OPEN_METRICS, false);
    assert!(!without.contains("_created") && without.ends_with("# EOF\n"));
}

#[test]
fn le_never_changes() {
    let les = |points, accept| {
        let text = text_of(points, accept, false);
        let of = |line: &str| Some(line.split_once("le=\"")?.1.split_once('"')?.0.to_owned());
        text.lines().filter_map(of).collect::<Vec<_>>()
    };
    let few = les(vec![round_trips(&[0.001])], TEXT);
    let many: Vec<f64> = (1..20_000).map(|n| f64::from(n) * 3e-5).collect();
    assert_eq!(les(vec![round_trips(&many)], TEXT), few);
    assert_eq!(les(vec![round_trips(&[])], OPEN_METRICS), few);
    assert_eq!(few.first().unwrap(), "1.52587890625e-05");
    assert_eq!(few[few.len() - 2..], ["8.0", "+Inf"]);
}

#[test]
fn classic_buckets_are_exact_at_every_resolution() {
    // From one value, at the finest scale, to a range that takes coarse ones.
    for spread in [1.0001, 1.01, 1.3, 2.0, 3.7] {
        let mut values: Vec<f64> = (0..60)
            .map(|n| 2e-5 * f64::powi(spread, n))
            .filter(|value| *value < 1e9)
            .collect();
        values.extend((-16..=3).map(|exponent| 2f64.powi(exponent))); // on the bounds
        values.push(0.0);
        let histogram = match round_trips(&values).value {
            PointValue::Histogram { cumulative, .. } => cumulative,
            _ => panic!("a histogram"),
        };
        for (exponent, count) in page::cumulative(&histogram, page::bounds(Metric::Rtt)) {
            let bound = 2f64.powi(exponent);
            let expected = values.iter().filter(|value| **value <= bound).count() as u64;
            assert_eq!(count, expected, "{spread} {bound} {}", histogram.scale);
        }
    }
}

#[test]
fn a_series_of_two_pipelines_is_said_once() {
    let points = vec![
        sum(Metric::FlowBytes, "web", 1),
        round_trips(&[0.001]),
        sum(Metric::FlowBytes, "web", 2),
        round_trips(&[0.5, 0.5]),
    ];
    let text = text_of(points, TEXT, false);
    let samples = |name: &str| {
        text.lines()
            .filter(|line| line.starts_with(name))
            .map(|line| line.rsplit_once(' ').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(samples("network_flow_bytes_total"), ["3"]);
    assert_eq!(samples("tcp_rtt_seconds_count"), ["3"]);
}

#[test]
fn nothing_is_a_page_too() {
    for accept in [TEXT, OPEN_METRICS] {
        let text = text_of(Vec::new(), accept, false);
        assert!(text.contains("target_info{service_name=\"tapetum\""));
        assert_eq!(text.ends_with("# EOF\n"), accept == OPEN_METRICS);
    }
}

#[test]
fn a_long_page_comes_in_pieces() {
    let points: Vec<_> = (0..2_000)
        .map(|n| sum(Metric::FlowBytes, &format!("web-{n}"), n))
        .collect();
    let page = Page::new(points.clone(), agent(), Format::Text, false);
    let pieces: Vec<_> = page.collect();
    assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() < 40 << 10));
    assert_eq!(pieces.concat(), text_of(points, TEXT, false).as_bytes());
}

#[test]
fn the_scraper_chooses_the_format() {
    let cases = [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/plain;version=0.0.4", Format::Text),
        ("text/html, text/plain;q=0.5, image/png", Format::Text),
        ("application/json", Format::Text),
        ("application/openmetrics-text", Format::OpenMetrics1),
        (
            "Application/OpenMetrics-Text; Version=\"1.0.0\"",
            Format::OpenMetrics1,
        ),
        (
            "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics0,
        ),
        (
            "application/openmetrics-text;version=9.0.0,text/plain",
            Format::Text,
        ),
        (
            "application/openmetrics-text;q=0.3,text/plain;q=0.4",
            Format::Text,
        ),
        ("application/openmetrics-text;q=0,*/*;q=0.1", Format::Text),
        ("application/openmetrics-text;q=nonsense", Format::Text),
        (PROTOBUF, Format::Protobuf),
        (
            "application/vnd.google.protobuf;proto=other.Message;encoding=delimited",
            Format::Text,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            Format::Text,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::Protobuf,
        ),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::preferred(accept), format, "{accept}");
    }
    for (accept, gzip) in [
        ("", false),
        ("gzip", true),
        ("deflate, gzip;q=0.5", true),
        ("gzip;q=0", false),
        ("*", true),
        ("*;q=0", false),
        ("gzip;q=0, *", false),
        ("br, identity", false),
    ] {
        assert_eq!(negotiate::takes_gzip(accept), gzip, "{accept}");
    }
}

#[test]
fn it_listens_from_its_build_on() {
    let free = "listen = \"127.0.0.1:0\"\ncreated = false";
    let Build::Asked(build) = COMPONENT.build else {
        panic!("an exporter")
    };
    assert!(matches!(
        build(&settings(free), &context("prometheus")),
        Ok(Exporter::Pull(_))
    ));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let taken = format!("listen = \"{address}\"\ncreated = false");
    let why = build(&settings(&taken), &context("prometheus"))
        .err()
        .unwrap();
    assert!(
        why.message
            .starts_with(&format!("cannot listen on {address}"))
    );
    assert!((COMPONENT.check)(&settings(COMPONENT.example)).is_empty());
    assert!((COMPONENT.bound)(&settings(COMPONENT.example)).user_bytes < 64 << 20);
}
