//! A connection as a log record says what its span says, under the same resource and scope.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use prost::Message as _;
use tapetum_model::{Connection, Loss, Payload, Process, Records, UnixNanos, Window};
use tapetum_testkit::sample;

use super::SpanEncoder;
use crate::{Form, oracle};

fn encode(form: Form, rows: &[Connection]) -> (Vec<u8>, u64) {
    let window = Window {
        start: UnixNanos(5),
        end: UnixNanos(9),
    };
    let mut encoder = SpanEncoder::new(oracle::agent())
        .with_form(form)
        .with_community_id(true);
    let mut messages = Vec::new();
    encoder.encode(
        &rows.to_vec().into(),
        &window,
        &Loss::default(),
        |message| messages.push(message),
    );
    assert_eq!(messages.len(), 1);
    (messages[0].bytes.to_vec(), messages[0].items)
}

#[test]
fn a_log_record_says_what_the_span_says() {
    let Payload::Records(Records::Connections(rows)) = sample::connections(500).payload else {
        panic!("the sample has connections")
    };
    let mut rows = rows.into_vec();
    // Longer than one byte's length.
    rows[1].process = Some(Arc::new(Process {
        pid: 7,
        executable: "x".repeat(200).into(),
    }));
    let (spans, of_spans) = encode(Form::Span, &rows);
    let (logs, of_logs) = encode(Form::Log, &rows);
    let spans = ExportTraceServiceRequest::decode(&*spans).expect("protobuf");
    let logs = ExportLogsServiceRequest::decode(&*logs).expect("protobuf");
    assert_eq!(of_spans, of_logs);
    assert_eq!(spans.resource_spans.len(), logs.resource_logs.len());
    let mut seen = 0;
    for (left, right) in spans.resource_spans.iter().zip(&logs.resource_logs) {
        assert_eq!(left.resource, right.resource);
        let (left, right) = (&left.scope_spans[0], &right.scope_logs[0]);
        assert_eq!(left.scope, right.scope);
        assert_eq!(left.spans.len(), right.log_records.len());
        for (span, record) in left.spans.iter().zip(&right.log_records) {
            assert_eq!(record.attributes, span.attributes);
            assert_eq!(
                (&record.trace_id, &record.span_id, record.flags),
                (&span.trace_id, &span.span_id, span.flags & 0xff)
            );
            assert_eq!(
                (record.time_unix_nano, record.observed_time_unix_nano),
                (span.start_time_unix_nano, span.end_time_unix_nano)
            );
            let name = any_value::Value::StringValue(span.name.clone());
            assert_eq!(record.body, Some(AnyValue { value: Some(name) }));
            let severity = match &span.status {
                Some(_) => (17, "ERROR"),
                None => (9, "INFO"),
            };
            assert_eq!((record.severity_number, &*record.severity_text), severity);
            seen += 1;
        }
    }
    assert_eq!(seen, of_logs);
}
