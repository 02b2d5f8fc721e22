//! A request that came in -> how many items it holds, and that it is one: nothing decoded, nothing copied.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use tapetum_benches::{Counting, figure, note, timed};
use tapetum_model::OtlpSignal;

const SPANS: usize = 100;
const RUNS: usize = 20_000;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

/// A span of a service, as SDKs send them: about 340 bytes.
fn span(at: u64) -> Span {
    Span {
        trace_id: at.to_be_bytes().repeat(2),
        span_id: at.to_be_bytes().to_vec(),
        parent_span_id: at.to_be_bytes().to_vec(),
        flags: 0x101,
        name: "GET /api/products/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_767_225_600_000_000_000 + at,
        end_time_unix_nano: 1_767_225_600_012_000_000 + at,
        attributes: vec![
            attribute("http.request.method", text("GET")),
            attribute("url.path", text("/api/products/0PUK6V6EV0")),
            attribute("http.response.status_code", Value::IntValue(200)),
            attribute("server.address", text("frontend.shop")),
            attribute("server.port", Value::IntValue(8080)),
            attribute("user_agent.original", text("python-requests/2.32.3")),
            attribute("network.protocol.version", text("1.1")),
        ],
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn main() {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..SPANS as u64).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let request = request.encode_to_vec();
    let scan = || tapetum_otlp::scan(OtlpSignal::Traces, &request).map_or(0, |items| items);
    assert_eq!(scan(), SPANS as u64, "all of them are found");
    println!(
        "a request of {SPANS} spans, {} bytes each",
        request.len() / SPANS
    );
    let (least, middle) = timed(RUNS, scan);
    let per_span = |taken: std::time::Duration| taken.as_nanos() as f64 / SPANS as f64;
    figure("scan, a span", per_span(least), "ns", 60.0);
    note("  the middle run", per_span(middle), "ns");
    note(
        "  a byte",
        least.as_nanos() as f64 / request.len() as f64,
        "ns",
    );
    let (allocations, _) = ALLOCATOR.during(scan);
    figure("allocations of a scan", allocations as f64, "", 0.0);
    let (decoded, _) = timed(RUNS / 20, || {
        ExportTraceServiceRequest::decode(&request[..]).is_ok()
    });
    note("  decoding instead, a span", per_span(decoded), "ns");
}
