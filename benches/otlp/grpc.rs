//! The few bytes and fields of gRPC around HTTP/2 that load and backend need.

use http::{HeaderMap, HeaderValue};
use tapetum_model::OtlpSignal;

/// The path of a signal's service.
pub(crate) fn path(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        OtlpSignal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        OtlpSignal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// Whether an answer's fields say that all is well.
pub(crate) fn is_ok(fields: &HeaderMap) -> bool {
    fields
        .get("grpc-status")
        .is_some_and(|status| status == "0")
}

/// The trailers that say so.
pub(crate) fn ok() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
