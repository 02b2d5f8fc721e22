//! Whatever is cut says together what it said before, and no part is larger than it may be.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{sample, scan};

/// Every item with all that stands over it, in order.
pub(crate) fn lines(signal: OtlpSignal, request: &[u8]) -> Vec<String> {
    match signal {
        OtlpSignal::Traces => traces(request),
        OtlpSignal::Logs => logs(request),
        OtlpSignal::Metrics => metrics(request),
    }
}

fn traces(request: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let request = ExportTraceServiceRequest::decode(request).expect("OTLP");
    for mut resource in request.resource_spans {
        for mut scope in std::mem::take(&mut resource.scope_spans) {
            for item in std::mem::take(&mut scope.spans) {
                lines.push(format!("{resource:?} {scope:?} {item:?}"));
            }
        }
    }
    lines
}

fn logs(request: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let request = ExportLogsServiceRequest::decode(request).expect("OTLP");
    for mut resource in request.resource_logs {
        for mut scope in std::mem::take(&mut resource.scope_logs) {
            for item in std::mem::take(&mut scope.log_records) {
                lines.push(format!("{resource:?} {scope:?} {item:?}"));
            }
        }
    }
    lines
}

fn metrics(request: &[u8]) -> Vec<String> {
    fn taken<T: std::fmt::Debug>(points: &mut Vec<T>) -> Vec<String> {
        let points = points.drain(..);
        points.map(|point| format!("{point:?}")).collect()
    }
    let mut lines = Vec::new();
    let request = ExportMetricsServiceRequest::decode(request).expect("OTLP");
    for mut resource in request.resource_metrics {
        for mut scope in std::mem::take(&mut resource.scope_metrics) {
            for mut metric in std::mem::take(&mut scope.metrics) {
                let points = match &mut metric.data {
                    Some(Data::Gauge(data)) => taken(&mut data.data_points),
                    Some(Data::Sum(data)) => taken(&mut data.data_points),
                    Some(Data::Histogram(data)) => taken(&mut data.data_points),
                    Some(Data::ExponentialHistogram(data)) => taken(&mut data.data_points),
                    Some(Data::Summary(data)) => taken(&mut data.data_points),
                    None => Vec::new(),
                };
                for point in points {
                    lines.push(format!("{resource:?} {scope:?} {metric:?} {point}"));
                }
            }
        }
    }
    lines
}

/// Some requests of one signal behind each other, and how many items they have.
pub(crate) fn joined(signal: OtlpSignal, seed: u64, requests: u64) -> (Bytes, u64) {
    let all = (0..requests).flat_map(|n| sample::request(signal, seed.wrapping_add(n)));
    let request: Bytes = all.collect::<Vec<u8>>().into();
    let items = scan(signal, &request).expect("OTLP");
    (request, items)
}

/// One scope of so many spans.
fn spans(spans: u64) -> ExportTraceServiceRequest {
    let span = |at: u64| Span {
        span_id: at.to_be_bytes().to_vec(),
        name: "x".repeat(100),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..spans).map(span).collect(),
                ..ScopeSpans::default()
            }],
            schema_url: "a schema".to_owned(),
            ..ResourceSpans::default()
        }],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_say_together_what_the_whole_said(
        signal in prop_oneof![Just(OtlpSignal::Traces), Just(OtlpSignal::Metrics), Just(OtlpSignal::Logs)],
        seed: u64,
        requests in 1u64..30,
        bytes_max in 1usize..20_000,
    ) {
        let (request, items) = joined(signal, seed, requests);
        let parts = split(signal, items, request.clone(), bytes_max);
        let mut said = Vec::new();
        for part in &parts {
            let of_part = lines(signal, &part.bytes);
            prop_assert_eq!(part.items, of_part.len() as u64);
            prop_assert_eq!(scan(signal, &part.bytes), Ok(part.items));
            said.extend(of_part);
        }
        prop_assert_eq!(said, lines(signal, &request));
        let all: usize = parts.iter().map(|part| part.bytes.len()).sum();
        prop_assert!(all <= 4 * request.len(), "{all} of {}", request.len());
    }

    #[test]
    fn nothing_that_is_no_request_is_touched(bytes in prop::collection::vec(any::<u8>(), 0..400), items: u64) {
        let request = Bytes::from(bytes);
        for signal in [OtlpSignal::Traces, OtlpSignal::Metrics, OtlpSignal::Logs] {
            let parts = split(signal, items, request.clone(), 20);
            prop_assert_eq!(parts.iter().map(|part| part.items).sum::<u64>(), items);
        }
    }
}

#[test]
fn one_scope_of_many_spans_is_cut_as_often_as_it_must_be() {
    let mut request = spans(1_000);
    let whole = Bytes::from(request.encode_to_vec());
    for bytes_max in [3_000, 10_000, 100_000] {
        let parts = split(OtlpSignal::Traces, 1_000, whole.clone(), bytes_max);
        assert!(parts.iter().all(|part| part.bytes.len() <= bytes_max));
        let least = whole.len() / bytes_max;
        assert!(parts.len() <= least * 2, "{} of {least}", parts.len());
    }
    // One span alone is larger than a part may be: it is alone in its part.
    request.resource_spans[0].scope_spans[0].spans[500].name = "x".repeat(20_000);
    let whole = Bytes::from(request.encode_to_vec());
    let parts = split(OtlpSignal::Traces, 1_000, whole, 10_000);
    let large: Vec<_> = parts
        .iter()
        .filter(|part| part.bytes.len() > 10_000)
        .collect();
    assert_eq!((large.len(), large[0].items), (1, 1));
}

#[test]
fn a_head_that_is_too_large_is_not_repeated() {
    let mut request = spans(1_000);
    request.resource_spans[0].schema_url = "x".repeat(5_000);
    let whole = Bytes::from(request.encode_to_vec());
    let parts = split(OtlpSignal::Traces, 1_000, whole.clone(), 10_000);
    assert_eq!((parts.len(), &parts[0].bytes), (1, &whole));
}
