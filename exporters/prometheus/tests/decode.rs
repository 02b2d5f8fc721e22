//! Protobuf read back by definitions that are written here once more, from the published schema.

use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Marked {
    #[prost(message, repeated, tag = "1")]
    label: Vec<Pair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, tag = "3")]
    timestamp: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, tag = "2")]
    exemplar: Option<Marked>,
    #[prost(message, tag = "3")]
    start: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, tag = "3")]
    exemplar: Option<Marked>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, tag = "15")]
    start: Option<Time>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Marked>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    label: Vec<Pair>,
    #[prost(message, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Series>,
    #[prost(string, tag = "5")]
    unit: String,
}

fn families(points: Vec<Point>) -> Vec<Family> {
    let (content_type, bytes) = render(points, &agent(), PROTOBUF, false);
    assert_eq!(content_type, Format::Protobuf.content_type());
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        all.push(Family::decode_length_delimited(&mut rest).unwrap());
    }
    all
}

fn find<'a>(families: &'a [Family], name: &str) -> &'a Family {
    families.iter().find(|family| family.name == name).unwrap()
}

#[test]
fn families_have_what_the_text_has() {
    let families = families(everything());
    let heads: Vec<_> = families
        .iter()
        .map(|family| {
            (
                family.name.as_str(),
                family.kind,
                family.unit.as_str(),
                family.metric.len(),
            )
        })
        .collect();
    assert_eq!(
        heads,
        [
            ("target_info", 1, "", 1),
            ("network_flow_bytes_total", 0, "bytes", 2),
            ("tcp_connections_failed_total", 0, "", 1),
            ("tcp_connections_active", 1, "", 1),
            ("tcp_rtt_seconds", 4, "seconds", 1),
            ("tapetum_probe_run_time_seconds_total", 0, "seconds", 1),
            ("tapetum_window_end_seconds", 1, "seconds", 1),
        ]
    );
    assert!(families.iter().all(|family| family.help.ends_with('.')));
    let bytes = find(&families, "network_flow_bytes_total");
    let label = |name: &str, value: &str| Pair {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(
        bytes.metric[1].label,
        [
            label("source_service_name", "quo\"te \\ and\nnew line"),
            label("destination_service_name", "api"),
            label("network_io_direction", "transmit"),
            label("server_port", "443"),
        ]
    );
    let failed = find(&families, "tcp_connections_failed_total").metric[0]
        .counter
        .clone();
    let failed = failed.unwrap();
    assert!((failed.value - 3.0).abs() < f64::EPSILON);
    assert_eq!(
        failed.start,
        Some(Time {
            seconds: 1_767_225_600,
            nanos: 250_000_000
        })
    );
    let marked = failed.exemplar.unwrap();
    assert_eq!(
        marked.label,
        [
            label("trace_id", &"ab".repeat(16)),
            label("span_id", &"0c".repeat(8))
        ]
    );
    let gauge = |name| find(&families, name).metric[0].gauge.clone().unwrap().value;
    assert!((gauge("tapetum_window_end_seconds") - 1.5e9).abs() < f64::EPSILON);
    assert!((gauge("tcp_connections_active") + 1.0).abs() < f64::EPSILON);
}

#[test]
fn native_buckets_hold_every_value() {
    let values = [0.0, 0.000_03, 0.001, 0.001, 0.25, 0.5, 1.0, 30.0];
    let families = families(vec![round_trips(&values)]);
    let histogram = find(&families, "tcp_rtt_seconds").metric[0]
        .histogram
        .clone()
        .unwrap();
    assert_eq!((histogram.sample_count, histogram.zero_count), (8, 1));
    assert!((-4..=8).contains(&histogram.schema));
    assert_eq!(histogram.positive_span.len(), 1);
    let span = &histogram.positive_span[0];
    assert_eq!(span.length as usize, histogram.positive_delta.len());
    // Each bucket ends at 2^(index * 2^-schema), and holds what is above the one before.
    let mut count = 0;
    for (at, delta) in histogram.positive_delta.iter().enumerate() {
        count += delta;
        let end = |index: i32| (f64::from(index) * 2f64.powi(-histogram.schema)).exp2();
        let index = span.offset + at as i32;
        let (low, high) = (end(index - 1), end(index));
        let held = values
            .iter()
            .filter(|value| **value > low * (1.0 + 1e-12) && **value <= high * (1.0 + 1e-12))
            .count();
        assert_eq!(held as i64, count, "{low} {high}");
    }
    // The classic ones beside them are those of the text.
    assert_eq!(
        histogram.bucket.len(),
        page::bounds(Metric::Rtt).count() + 1
    );
    let last = histogram.bucket.last().unwrap();
    assert!(last.upper_bound.is_infinite() && last.cumulative_count == 8);
    assert_eq!(histogram.bucket[0].cumulative_count, 1);
}

#[test]
fn an_empty_histogram_is_a_native_one() {
    let families = families(vec![round_trips(&[])]);
    let histogram = find(&families, "tcp_rtt_seconds").metric[0]
        .histogram
        .clone()
        .unwrap();
    assert_eq!(histogram.sample_count, 0);
    assert!(histogram.zero_threshold > 0.0 && histogram.positive_span.is_empty());
}
