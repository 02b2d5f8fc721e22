//! A request, as any bytes: it passes exactly where the reference decoder takes it, and the count is what that
//! finds. The first byte says the signal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tapetum_model::OtlpSignal;
use tapetum_otlp::scan;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, request)) = bytes.split_first() else {
        return;
    };
    match first % 3 {
        0 => {
            let found = scan(OtlpSignal::Traces, request);
            let decoded = ExportTraceServiceRequest::decode(request);
            let decoded = decoded.map(|request| {
                let scopes = request.resource_spans.iter().flat_map(|one| &one.scope_spans);
                scopes.map(|scope| scope.spans.len() as u64).sum()
            });
            assert_eq!(found.ok(), decoded.ok());
        }
        1 => {
            let found = scan(OtlpSignal::Logs, request);
            let decoded = ExportLogsServiceRequest::decode(request);
            let decoded = decoded.map(|request| {
                let scopes = request.resource_logs.iter().flat_map(|one| &one.scope_logs);
                scopes.map(|scope| scope.log_records.len() as u64).sum()
            });
            assert_eq!(found.ok(), decoded.ok());
        }
        _ => {
            let found = scan(OtlpSignal::Metrics, request);
            let decoded = ExportMetricsServiceRequest::decode(request);
            assert_eq!(found.is_ok(), decoded.is_ok());
        }
    }
});
