//! What the reference writes as JSON is read as what it was; what a person or another SDK writes too.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;
use prost::Message;
use serde::Serialize;
use tapetum_model::OtlpSignal;
use tapetum_testkit::Random;

use super::{JsonError, from_json};
use crate::sample::Any;
use crate::scan;

const MOST: usize = 1 << 20;

/// What comes back of a request that went through JSON.
fn through<T: Message + Default + Serialize>(signal: OtlpSignal, request: &T) -> T {
    let json = serde_json::to_vec(request).expect("it is written");
    let read = from_json(signal, &json, MOST);
    let read = read.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&json)));
    assert!(scan(signal, &read).is_ok(), "it passes as any other");
    T::decode(&read[..]).expect("it is protobuf")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_the_same_through_json(seed in any::<u64>()) {
        let mut any = Any(Random::new(seed));
        let (traces, metrics, logs) = (any.traces(), any.metrics(), any.logs());
        prop_assert_eq!(&through(OtlpSignal::Traces, &traces), &traces);
        prop_assert_eq!(&through(OtlpSignal::Metrics, &metrics), &metrics);
        prop_assert_eq!(&through(OtlpSignal::Logs, &logs), &logs);
    }

    #[test]
    fn any_text_is_survived(text in "[\\[\\]{}\",:0-9a-z \\\\ntu.eE+-]{0,80}") {
        let read = from_json(OtlpSignal::Logs, text.as_bytes(), MOST);
        if let Err(JsonError::Malformed { at, .. }) = read {
            prop_assert!(at <= text.len());
        }
    }

    #[test]
    fn a_changed_request_is_read_or_refused_and_what_is_read_passes(
        seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let request = Any(Random::new(seed)).metrics();
        let mut json = serde_json::to_vec(&request).expect("it is written");
        let length = json.len();
        json[at.index(length)] = byte;
        if let Ok(read) = from_json(OtlpSignal::Metrics, &json, MOST) {
            prop_assert!(scan(OtlpSignal::Metrics, &read).is_ok());
            prop_assert!(ExportMetricsServiceRequest::decode(&read[..]).is_ok());
        }
    }
}

fn traces(json: &str) -> ExportTraceServiceRequest {
    let read = from_json(OtlpSignal::Traces, json.as_bytes(), MOST).expect("it is right");
    ExportTraceServiceRequest::decode(&read[..]).expect("it is protobuf")
}

#[test]
fn what_the_specification_allows_is_read() {
    let request = traces(
        r#" {"resourceSpans": [{"resource": {"attributes": [
            {"key": "a\u00e9\ud83e\udd80\n", "value": {"stringValue": "b"}},
            {"key": "int", "value": {"intValue": "-9223372036854775808"}},
            {"key": "bytes", "value": {"bytesValue": "_-8="}},
            {"key": "inner", "value": {"kvlistValue": {"values": [{"key": "x", "value": {"arrayValue": {"values": [null, {"doubleValue": 1e3}]}}}]}}}
          ], "new_of_tomorrow": [{"x": [1, "}", null, true]}]},
          "scope_spans": [{"spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "span_id": "eee19b7ec3c1b174", "parentSpanId": "",
            "kind": 2, "startTimeUnixNano": "1544712660000000000", "end_time_unix_nano": 1544712661000000000,
            "flags": 257, "status": {}, "links": null, "droppedEventsCount": 3.0
          }]}]}]} "#,
    );
    let resource = &request.resource_spans[0];
    let attributes = &resource.resource.as_ref().expect("a resource").attributes;
    let value = |at: usize| attributes[at].value.clone().and_then(|value| value.value);
    assert_eq!(attributes[0].key, "aé🦀\n");
    assert_eq!(value(1), Some(Value::IntValue(i64::MIN)));
    assert_eq!(value(2), Some(Value::BytesValue(vec![0xff, 0xef])));
    let inner = format!("{:?}", value(3));
    assert!(inner.contains("AnyValue { value: None }"), "{inner}");
    assert!(inner.contains("DoubleValue(1000.0)"), "{inner}");
    let span = &resource.scope_spans[0].spans[0];
    assert_eq!(span.trace_id[..2], [0x5b, 0x8e]);
    assert_eq!((span.span_id.len(), span.parent_span_id.len()), (8, 0));
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    assert_eq!(
        (span.kind, span.flags, span.dropped_events_count),
        (2, 257, 3)
    );
    assert!(span.status.is_some() && span.links.is_empty());
}

#[test]
fn numbers_that_json_has_no_word_for_are_texts() {
    let json = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[
        {"asDouble":"NaN"},{"asDouble":"-Infinity"},{"asDouble":0},{"asInt":"7"}]}}]}]}]}"#;
    let read = from_json(OtlpSignal::Metrics, json, MOST).expect("it is right");
    assert_eq!(scan(OtlpSignal::Metrics, &read), Ok(4));
    let read = ExportMetricsServiceRequest::decode(&read[..]).expect("protobuf");
    let said = format!("{read:?}");
    for value in [
        "AsDouble(NaN)",
        "AsDouble(-inf)",
        "AsDouble(0.0)",
        "AsInt(7)",
    ] {
        assert!(said.contains(value), "{said}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let spans = |inner: &str| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{inner}}}]}}]}}]}}"#)
    };
    let deep = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}{}}}]}}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(60),
        "]}}".repeat(60)
    );
    for (json, says) in [
        (String::new(), "at byte 0: an object is missing"),
        ("[]".to_owned(), "at byte 0: an object is missing"),
        (
            "{} {}".to_owned(),
            "at byte 3: something follows the request",
        ),
        (
            "{\"resourceSpans\":{}}".to_owned(),
            "at byte 17: a list is missing",
        ),
        ("{\"x\":[[[[".to_owned(), "at byte 9: a number is missing"),
        ("{\"x\":01}".to_owned(), "at byte 5: a number is missing"),
        ("{\"x\":\"\\ud800\"}".to_owned(), "`\\u` is missing"),
        (
            spans(r#""traceId":"xyz""#),
            "`traceId` is not 32 hexadecimal digits",
        ),
        (
            spans(r#""traceId":"1234""#),
            "`traceId` is not 32 hexadecimal digits",
        ),
        (
            spans(r#""spanId":"A2fB""#),
            "`spanId` is not 16 hexadecimal digits",
        ),
        (
            spans(r#""kind":"SPAN_KIND_SERVER""#),
            "`kind` is not a whole number",
        ),
        (spans(r#""kind":1.5"#), "`kind` is not a whole number"),
        (
            spans(r#""startTimeUnixNano":-1"#),
            "`startTimeUnixNano` is not a whole number",
        ),
        (
            spans(r#""droppedLinksCount":4294967296"#),
            "`droppedLinksCount` is not a whole",
        ),
        (spans(r#""name":7"#), "a text is missing"),
        (spans("\"name\":\"a\nb\""), "a text has a control character"),
        (deep, "nested more than 100 deep"),
    ] {
        let read = from_json(OtlpSignal::Traces, json.as_bytes(), MOST);
        let said = read.map(drop).expect_err(&json).to_string();
        assert!(said.contains(says), "{json}: {said}");
    }
    let said = from_json(OtlpSignal::Logs, b"{\"\xff", MOST).expect_err("no text");
    assert_eq!(
        said.to_string(),
        "malformed OTLP/JSON at byte 2: it is not UTF-8"
    );
}

#[test]
fn what_grows_is_bounded() {
    let buckets = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{}0]}}]}}}}]}}]}}]}}"#,
        "1,".repeat(10_000)
    );
    let read = from_json(OtlpSignal::Metrics, buckets.as_bytes(), 64 << 10);
    assert_eq!(read, Err(JsonError::TooLong { most: 64 << 10 }));
    assert!(from_json(OtlpSignal::Metrics, buckets.as_bytes(), 96 << 10).is_ok());
}

#[test]
fn logs_are_read_too() {
    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"x"},"eventName":"e"}]}]}]}"#;
    let read = from_json(OtlpSignal::Logs, json, MOST).expect("it is right");
    let read = ExportLogsServiceRequest::decode(&read[..]).expect("protobuf");
    let log = &read.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((log.severity_number, &*log.event_name), (9, "e"));
}
