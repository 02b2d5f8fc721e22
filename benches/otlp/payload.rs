//! The requests that are sent: spans of about 346 bytes, flow logs of about 632.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tapetum_model::OtlpSignal;

/// Two thousand and twenty-six.
const TIME: u64 = 1_767_225_600_000_000_000;

/// A request and how many items it has.
#[derive(Clone)]
pub(crate) struct Payload {
    pub(crate) signal: OtlpSignal,
    pub(crate) items: u64,
    pub(crate) bytes: Bytes,
}

impl Payload {
    pub(crate) fn new(signal: OtlpSignal, items: u64) -> Self {
        let bytes = match signal {
            OtlpSignal::Logs => logs(items).encode_to_vec(),
            _ => spans(items).encode_to_vec(),
        };
        Self {
            signal,
            items,
            bytes: bytes.into(),
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Value::StringValue(value.to_owned());
    pair(key, value)
}

fn number(key: &str, value: u64) -> KeyValue {
    pair(key, Value::IntValue(value.cast_signed()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn resource() -> Option<Resource> {
    Some(Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.namespace", "shop"),
            text("k8s.pod.name", "checkout-7d4b9c6f5-x2x9z"),
            text("k8s.node.name", "node-17.example"),
        ],
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "io.opentelemetry.http".to_owned(),
        version: "2.1.0".to_owned(),
        ..InstrumentationScope::default()
    })
}

fn spans(items: u64) -> ExportTraceServiceRequest {
    let span = |n: u64| Span {
        trace_id: (u128::from(n) << 64 | 0x5851_f42d_4c95_7f2d)
            .to_be_bytes()
            .to_vec(),
        span_id: (n ^ 0x1405_7b7e_f767_814f).to_be_bytes().to_vec(),
        parent_span_id: n.to_be_bytes().to_vec(),
        name: "GET /api/v1/orders/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: TIME + n * 1_000,
        end_time_unix_nano: TIME + n * 1_000 + 1_500_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.path", &format!("/api/v1/orders/{}", 100_000 + n)),
            number("http.response.status_code", 200),
            text("server.address", "orders.shop.svc.cluster.local"),
            number("server.port", 8_080),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "curl/8.5.0"),
        ],
        flags: 0x101,
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![ScopeSpans {
                scope: scope(),
                spans: (0..items).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn logs(items: u64) -> ExportLogsServiceRequest {
    let end = |side: &str, n: u64| {
        vec![
            text(
                &format!("{side}.address"),
                &format!("10.244.{}.{}", n % 16, n % 251),
            ),
            number(&format!("{side}.port"), 30_000 + n % 20_000),
            text(&format!("{side}.k8s.namespace.name"), "shop"),
            text(&format!("{side}.k8s.pod.name"), "orders-7d4b9c6f5-x2x9z"),
            text(&format!("{side}.k8s.workload.name"), "orders"),
            text(&format!("{side}.k8s.node.name"), "node-17"),
        ]
    };
    let record = |n: u64| LogRecord {
        time_unix_nano: TIME + n * 1_000,
        observed_time_unix_nano: TIME + n * 1_000 + 9,
        attributes: [
            end("source", n),
            end("destination", n + 7),
            vec![
                text("network.transport", "tcp"),
                text("network.type", "ipv4"),
                number("flow.bytes.sent", 14_021 + n),
                number("flow.bytes.received", 991_021 + n),
                number("flow.packets.sent", 31),
                number("flow.packets.received", 112),
                text("tcp.end_reason", "fin"),
            ],
        ]
        .concat(),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs {
                scope: scope(),
                log_records: (0..items).map(record).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}
