//! What was written is decoded by `opentelemetry-proto` and compared with what should be said.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use proptest::prelude::*;
use prost::Message as _;
use tapetum_model::{
    Connection, ExponentialHistogram, Loss, Metric, PointValue, Process, Service, UnixNanos, Window,
};
use tapetum_testkit::sample;

use super::*;
use crate::{Lines, oracle};

const WINDOW: Window = Window {
    start: UnixNanos(5),
    end: UnixNanos(1 << 60),
};
const LOSS: Loss = Loss {
    ring: 3,
    limit: 0,
    queue: 1 << 40,
};

fn rows(count: usize) -> Vec<Connection> {
    (0..count as u64).map(sample::connection).collect()
}

fn encode(encoder: &mut SpanEncoder, rows: &[Connection]) -> (Vec<Message>, u64) {
    let mut messages = Vec::new();
    let rows = &rows.to_vec().into();
    let filtered = encoder.encode(rows, &WINDOW, &LOSS, |it| messages.push(it));
    (messages, filtered)
}

fn decode(message: &Message) -> TracesData {
    let data = TracesData::decode(message.bytes.clone()).expect("protobuf");
    assert_eq!(data.encoded_len(), message.bytes.len(), "not canonical");
    oracle::ordered(data)
}

#[test]
fn sample_rows_say_what_they_should() {
    let rows = rows(500);
    let (messages, filtered) = encode(&mut SpanEncoder::new(oracle::agent()), &rows);
    assert_eq!(messages.len(), 1);
    assert_eq!(filtered, rows.len() as u64 / 16);
    assert_eq!(messages[0].items, rows.len() as u64 - filtered);
    assert_eq!(decode(&messages[0]), oracle::traces(&rows, &WINDOW, &LOSS));
}

#[test]
fn a_second_batch_knows_nothing_of_the_first() {
    let rows = rows(64);
    let mut encoder = SpanEncoder::new(oracle::agent());
    let (first, _) = encode(&mut encoder, &rows[..32]);
    let (second, _) = encode(&mut encoder, &rows[32..]);
    assert_eq!(
        decode(&first[0]),
        oracle::traces(&rows[..32], &WINDOW, &LOSS)
    );
    assert_eq!(
        decode(&second[0]),
        oracle::traces(&rows[32..], &WINDOW, &LOSS)
    );
}

#[test]
fn nothing_to_say_is_no_message() {
    let (messages, filtered) = encode(&mut SpanEncoder::new(oracle::agent()), &rows(8)[7..]);
    assert_eq!((messages.len(), filtered), (0, 1));
}

#[test]
fn messages_end_before_they_are_too_large() {
    let rows = rows(400);
    let mut encoder = SpanEncoder::new(oracle::agent());
    encoder.message_bytes_max = 8_000;
    let (messages, _) = encode(&mut encoder, &rows);
    assert!(messages.len() > 10);
    let (mut spans, mut expected) = (Vec::new(), Vec::new());
    for message in &messages {
        assert!(message.bytes.len() <= 8_000);
        let data = decode(message);
        let of = |data: TracesData| {
            data.resource_spans
                .into_iter()
                .flat_map(|group| group.scope_spans)
                .flat_map(|scope| scope.spans)
        };
        let before = spans.len();
        spans.extend(of(data));
        assert_eq!((spans.len() - before) as u64, message.items);
    }
    for group in oracle::traces(&rows, &WINDOW, &LOSS).resource_spans {
        expected.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    assert_eq!(spans, expected);
}

#[test]
fn a_community_id_is_said_where_it_is_asked_for() {
    let rows = [sample::connection(1)];
    let mut encoder = SpanEncoder::new(oracle::agent()).with_community_id(true);
    let (messages, _) = encode(&mut encoder, &rows);
    let mut said = Vec::new();
    let mut lines = Lines::new(oracle::agent()).with_community_id(true);
    lines.spans(&rows.to_vec().into(), &WINDOW, &LOSS, |_, line| {
        said.push(line)
    });
    let line: TracesData = serde_json::from_slice(&said[0]).expect("JSON");
    assert_eq!(decode(&messages[0]), oracle::ordered(line.clone()));
    let attributes = &line.resource_spans[0].scope_spans[0].spans[0].attributes;
    let id = attributes.iter().find(|of| of.key == "flow.community_id");
    assert!(format!("{id:?}").contains("\"1:"), "{id:?}");
}

#[test]
fn more_ends_than_the_scratch_holds_are_still_right() {
    let rows: Vec<_> = (0..9_000u64)
        .map(|n| {
            let mut row = sample::connection(16 * (n % 50) + 1);
            let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32);
            row.remote.address = (ip, 40_000).into();
            row
        })
        .collect();
    let mut encoder = SpanEncoder::new(oracle::agent());
    encoder.message_bytes_max = usize::MAX >> 1;
    let (messages, _) = encode(&mut encoder, &rows);
    assert_eq!(decode(&messages[0]), oracle::traces(&rows, &WINDOW, &LOSS));
}

#[test]
fn a_very_long_name_does_not_break_anything() {
    let mut row = sample::connection(0);
    row.process = Some(Arc::new(Process {
        pid: u32::MAX,
        executable: "ä".repeat(5_000).into(),
    }));
    row.remote.service = Some(Arc::new(Service {
        namespace: "shop".into(),
        name: "ö".repeat(5_000).into(),
    }));
    let (messages, _) = encode(&mut SpanEncoder::new(oracle::agent()), &[row]);
    let data = decode(&messages[0]);
    let span = &data.resource_spans[0].scope_spans[0].spans[0];
    let name = span
        .attributes
        .iter()
        .find(|of| of.key == "process.executable.name")
        .unwrap();
    assert_eq!(span.name, format!("tcp {}", "ö".repeat(60)));
    let text = format!("{:?}", name.value);
    assert!(text.contains(&"ä".repeat(128)) && !text.contains(&"ä".repeat(129)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_say_what_they_should(rows in prop::collection::vec(oracle::any::row(), 0..40)) {
        let (messages, filtered) = encode(&mut SpanEncoder::new(oracle::agent()), &rows);
        let spans: u64 = messages.iter().map(|message| message.items).sum();
        prop_assert_eq!(spans + filtered, rows.len() as u64);
        let decoded = messages.first().map(decode).unwrap_or_default();
        prop_assert_eq!(decoded, oracle::traces(&rows, &WINDOW, &LOSS));
    }

    #[test]
    fn nested_messages_have_their_length_whatever_was_expected(
        expected in 0usize..40_000, length in 0usize..40_000, before in 0usize..4
    ) {
        let mut out = vec![7; before];
        let nested = wire::Nested::begin(&mut out, 0x12, expected);
        out.extend((0..length).map(|at| at as u8));
        nested.end(&mut out);
        let mut plain = vec![7; before];
        let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
        wire::bytes(&mut plain, 0x12, &body);
        prop_assert_eq!(out, plain);
    }
}

fn text(of: &KeyValue) -> Option<String> {
    match of.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(format!("{}={text}", of.key)),
        _ => None,
    }
}

fn decode_points(messages: &[Message]) -> Vec<opentelemetry_proto::tonic::metrics::v1::Metric> {
    let mut metrics = Vec::new();
    for message in messages {
        let data = MetricsData::decode(message.bytes.clone()).expect("protobuf");
        assert_eq!(data.resource_metrics.len(), 1);
        let of_agent = &data.resource_metrics[0];
        let resource = of_agent.resource.clone().unwrap_or_default();
        let said: Vec<_> = resource.attributes.iter().filter_map(text).collect();
        assert_eq!(
            said.join(" "),
            "service.name=tapetum service.instance.id=test-instance service.version=1.2.3 \
             k8s.node.name=test-node k8s.cluster.name=test-cluster host.name=test-host"
        );
        let scope = of_agent.scope_metrics[0].scope.clone().unwrap();
        assert_eq!(
            (&*scope.name, &*scope.version, scope.attributes.len()),
            ("tapetum", "1.2.3", 0)
        );
        metrics.extend(of_agent.scope_metrics[0].metrics.clone());
    }
    metrics
}

#[test]
fn points_of_one_metric_stand_together() {
    let mut messages = Vec::new();
    PointEncoder::new(&oracle::agent()).encode(&oracle::points(), |message| messages.push(message));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].items, 8);
    let metrics = decode_points(&messages);
    let names: Vec<_> = metrics
        .iter()
        .map(|metric| (&*metric.name, &*metric.unit))
        .collect();
    assert_eq!(
        names,
        [
            ("network.flow.bytes", "By"),
            ("tcp.connections.active", "{connection}"),
            ("tcp.rtt", "s"),
            ("tapetum.probe.run_time", "s"),
            ("tapetum.connections.tracked", "{connection}"),
        ]
    );
    let Some(metric::Data::Sum(bytes)) = &metrics[0].data else {
        panic!("{:?}", metrics[0])
    };
    assert_eq!(
        (bytes.is_monotonic, bytes.aggregation_temporality),
        (true, 2)
    );
    let values: Vec<_> = bytes
        .data_points
        .iter()
        .map(|point| (point.value, point.flags))
        .collect();
    let int = |value| Some(number_data_point::Value::AsInt(value));
    assert_eq!(values, [(int(1 << 50), 0), (int(2), 0), (None, 1)]);
    let first = &bytes.data_points[0];
    assert_eq!((first.start_time_unix_nano, first.time_unix_nano), (10, 20));
    let keys: Vec<_> = first.attributes.iter().map(|of| &*of.key).collect();
    assert_eq!(
        keys,
        [
            "source.k8s.namespace.name",
            "network.io.direction",
            "server.port"
        ]
    );
    let Some(metric::Data::Sum(active)) = &metrics[1].data else {
        panic!("{:?}", metrics[1])
    };
    assert!(!active.is_monotonic);
    assert_eq!(active.data_points[0].value, int(-2));
    let Some(metric::Data::Sum(time)) = &metrics[3].data else {
        panic!("{:?}", metrics[3])
    };
    assert_eq!(
        time.data_points[0].value,
        Some(number_data_point::Value::AsDouble(1.5))
    );
    let Some(metric::Data::Gauge(tracked)) = &metrics[4].data else {
        panic!("{:?}", metrics[4])
    };
    assert_eq!(
        tracked.data_points[0].value,
        Some(number_data_point::Value::AsDouble(2.5))
    );
}

#[test]
fn a_distribution_is_exponential() {
    let mut messages = Vec::new();
    PointEncoder::new(&oracle::agent()).encode(&oracle::points(), |message| messages.push(message));
    let metrics = decode_points(&messages);
    let Some(metric::Data::ExponentialHistogram(rtt)) = &metrics[2].data else {
        panic!("{:?}", metrics[2])
    };
    assert_eq!(rtt.aggregation_temporality, 2);
    let (point, ended) = (&rtt.data_points[0], &rtt.data_points[1]);
    assert_eq!((ended.flags, ended.count), (1, 0));
    let mut histogram = ExponentialHistogram::default();
    for value in [0.0, 0.001, 0.002, 4.0] {
        histogram.record(value);
    }
    let positive = point.positive.as_ref().unwrap();
    assert_eq!(
        (point.count, point.zero_count, point.scale),
        (4, 1, histogram.scale)
    );
    assert_eq!(
        (point.sum, point.min, point.max),
        (Some(4.003), Some(0.0), Some(4.0))
    );
    assert_eq!(
        (positive.offset, &positive.bucket_counts),
        (histogram.offset, &histogram.buckets)
    );
    let exemplar = &point.exemplars[0];
    assert_eq!(
        (
            &exemplar.trace_id[..],
            &exemplar.span_id[..],
            exemplar.time_unix_nano
        ),
        (&[1; 16][..], &[2; 8][..], 15)
    );
}

#[test]
fn many_points_are_several_messages() {
    let points: Vec<_> = (0..200)
        .map(|n| {
            oracle::point(
                Metric::FlowBytes,
                PointValue::Sum {
                    cumulative: n,
                    delta: 0,
                },
            )
        })
        .collect();
    let mut encoder = PointEncoder::new(&oracle::agent());
    encoder.message_bytes_max = 4_000;
    let mut messages = Vec::new();
    encoder.encode(&points, |message| messages.push(message));
    assert!(messages.len() > 4);
    assert!(messages.iter().all(|message| message.bytes.len() <= 4_000));
    let mut values = Vec::new();
    for metric in decode_points(&messages) {
        let Some(metric::Data::Sum(sum)) = metric.data else {
            panic!("{}", metric.name)
        };
        values.extend(sum.data_points.into_iter().map(|point| point.value));
    }
    let expected: Vec<_> = (0..200)
        .map(|n| Some(number_data_point::Value::AsInt(n)))
        .collect();
    assert_eq!(values, expected);
    assert_eq!(
        messages.iter().map(|message| message.items).sum::<u64>(),
        200
    );
}

#[test]
fn a_delta_counts_since_the_last_flush() {
    let mut encoder =
        PointEncoder::new(&oracle::agent()).with_temporality(crate::Temporality::Delta);
    let mut encode = |points: &[tapetum_model::Point]| {
        let mut messages = Vec::new();
        let silent = encoder.encode(points, |message| messages.push(message));
        let items: u64 = messages.iter().map(|message| message.items).sum();
        assert_eq!(silent + items, points.len() as u64);
        (decode_points(&messages), silent)
    };
    // Silent: a histogram that nothing was added to, and the end of two series.
    let (metrics, silent) = encode(&oracle::points());
    assert_eq!(silent, 3);
    let Some(metric::Data::Sum(bytes)) = &metrics[0].data else {
        panic!("{:?}", metrics[0])
    };
    assert_eq!(bytes.aggregation_temporality, 1);
    let said = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
        let number_data_point::Value::AsInt(value) = point.value.expect("a value") else {
            panic!("a whole number")
        };
        (value, point.start_time_unix_nano, point.time_unix_nano)
    };
    assert_eq!(said(&bytes.data_points[0]), (1, 10, 20));
    let Some(metric::Data::Sum(active)) = &metrics[1].data else {
        panic!("{:?}", metrics[1])
    };
    assert_eq!(active.aggregation_temporality, 2, "it shrinks too");
    let mut later = oracle::points();
    later.truncate(1);
    later[0].time = UnixNanos(30);
    let (metrics, _) = encode(&later);
    let Some(metric::Data::Sum(bytes)) = &metrics[0].data else {
        panic!("{:?}", metrics[0])
    };
    assert_eq!(said(&bytes.data_points[0]), (1, 20, 30));
}
