//! What passes is what the reference decoder takes, byte for byte; what is counted is what it finds.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message as _;
use tapetum_model::OtlpSignal;

use super::scan;
use crate::sample;

/// What the reference decoder finds in a request; `None`: it is none.
fn truth(signal: OtlpSignal, request: &[u8]) -> Option<u64> {
    let found = match signal {
        OtlpSignal::Traces => {
            let request = ExportTraceServiceRequest::decode(request).ok()?;
            let scopes = request.resource_spans.iter();
            let scopes = scopes.flat_map(|resource| &resource.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum::<usize>()
        }
        OtlpSignal::Logs => {
            let request = ExportLogsServiceRequest::decode(request).ok()?;
            let scopes = request.resource_logs.iter();
            let scopes = scopes.flat_map(|resource| &resource.scope_logs);
            scopes.map(|scope| scope.log_records.len()).sum()
        }
        OtlpSignal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(request).ok()?;
            let scopes = request.resource_metrics.iter();
            let scopes = scopes.flat_map(|resource| &resource.scope_metrics);
            let metrics = scopes.flat_map(|scope| &scope.metrics);
            metrics
                .map(|metric| match &metric.data {
                    Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                    Some(Data::Sum(sum)) => sum.data_points.len(),
                    Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                    Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
                    Some(Data::Summary(summary)) => summary.data_points.len(),
                    None => 0,
                })
                .sum()
        }
    };
    Some(found as u64)
}

fn signals() -> impl Strategy<Value = OtlpSignal> {
    prop_oneof![
        Just(OtlpSignal::Traces),
        Just(OtlpSignal::Metrics),
        Just(OtlpSignal::Logs)
    ]
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<prop::sample::Index>;
    let change = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        at().prop_map(Change::Remove),
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        at().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 1..4)
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(length)] = byte,
            Change::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Change::Remove(at) => drop(bytes.remove(at.index(length))),
            Change::Insert(at, byte) => bytes.insert(at.index(length), byte),
            Change::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_request_passes_and_its_items_are_counted(signal in signals(), seed in any::<u64>()) {
        let request = sample::request(signal, seed);
        let expected = truth(signal, &request);
        prop_assert!(expected.is_some());
        prop_assert_eq!(scan(signal, &request).ok(), expected);
    }

    #[test]
    fn a_changed_request_passes_where_the_decoder_takes_it(
        signal in signals(), seed in any::<u64>(), changes in changes(),
    ) {
        let request = changed(sample::request(signal, seed), changes);
        let (found, expected) = (scan(signal, &request), truth(signal, &request));
        prop_assert_eq!(found.is_ok(), expected.is_some(), "{:?} {:?}", found, expected);
        if let (Ok(found), Some(expected)) = (found, expected) {
            // A metric that says two kinds of data keeps the last; both came over the wire.
            let is_right = found == expected || (signal == OtlpSignal::Metrics && found > expected);
            prop_assert!(is_right, "{} {}", found, expected);
        }
        if let Err(malformed) = found {
            prop_assert!(malformed.at <= request.len());
        }
    }

    #[test]
    fn any_bytes_pass_where_the_decoder_takes_them(
        signal in signals(), bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        prop_assert_eq!(scan(signal, &bytes).is_ok(), truth(signal, &bytes).is_some());
    }

    #[test]
    fn joined_requests_hold_the_sum(signal in signals(), one in any::<u64>(), other in any::<u64>()) {
        let (one, other) = (sample::request(signal, one), sample::request(signal, other));
        let sum = scan(signal, &one).unwrap() + scan(signal, &other).unwrap();
        let joined = [one, other].concat();
        prop_assert_eq!(scan(signal, &joined), Ok(sum));
        prop_assert_eq!(truth(signal, &joined), Some(sum));
    }
}

/// A message around `inner`, `depth` times: field 1 each.
fn nested(inner: Vec<u8>, tags: &[u8], depth: usize) -> Vec<u8> {
    (0..depth).fold(inner, |inner, at| {
        let mut out = vec![tags[at % tags.len()]];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend(inner);
        out
    })
}

#[test]
fn nesting_ends_where_the_decoders_ends() {
    // An array of an array of … a value, in an attribute of a resource.
    let mut verdicts = Vec::new();
    for depth in (0..120).chain([5_000]) {
        for leaf in [
            &[][..],
            &[0x18, 1],
            &[0x0a, 1, b'x'],
            &[0x08, 1],
            &[0x4a, 0],
            &[0x4b, 0x4c],
        ] {
            let value = nested(leaf.to_vec(), &[0x2a, 0x0a], depth);
            let attribute = nested(value, &[0x12], 1);
            let request = nested(attribute, &[0x0a], 3);
            let (found, expected) = (
                scan(OtlpSignal::Traces, &request),
                truth(OtlpSignal::Traces, &request),
            );
            assert_eq!(
                found.is_ok(),
                expected.is_some(),
                "{depth} {leaf:?} {found:?}"
            );
            verdicts.push(found.is_ok());
        }
        for depth in [depth, depth + 1] {
            let groups = [vec![0x4b; depth], vec![0x4c; depth]].concat();
            let (found, expected) = (
                scan(OtlpSignal::Logs, &groups),
                truth(OtlpSignal::Logs, &groups),
            );
            assert_eq!(
                found.is_ok(),
                expected.is_some(),
                "{depth} groups {found:?}"
            );
        }
    }
    assert!(verdicts.contains(&true) && verdicts.contains(&false));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (request, said) in [
        (
            &[0x0a, 5, 0x12][..],
            "malformed protobuf at byte 1: a length reaches beyond the end of its message",
        ),
        (
            &[0x0a, 0, 0x08, 1],
            "malformed protobuf at byte 2: a field has another wire type than it should",
        ),
        (
            &[0x0a, 3, 0x1a, 1, 0xff],
            "malformed protobuf at byte 4: a text is not UTF-8",
        ),
        (
            &[0x0f],
            "malformed protobuf at byte 0: there is no such wire type",
        ),
        (
            &[0x00],
            "malformed protobuf at byte 0: a field has the number 0",
        ),
        (
            &[0x0c],
            "malformed protobuf at byte 0: a field has another wire type than it should",
        ),
        (
            &[0x4c],
            "malformed protobuf at byte 0: a group ends that did not begin",
        ),
    ] {
        let malformed = scan(OtlpSignal::Traces, request).expect_err(said);
        assert_eq!(malformed.to_string(), said);
    }
}
