//! What is edited says what it said before but for the edit, judged by a decoder that is not ours.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::scan;
use crate::split::tests::{joined, lines};

const SIGNALS: [OtlpSignal; 3] = [OtlpSignal::Traces, OtlpSignal::Metrics, OtlpSignal::Logs];

fn value(value: any_value::Value) -> KeyValue {
    KeyValue {
        key: "k".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// One span of kind client in a resource of its own.
fn request(own: Vec<KeyValue>, resource: Option<Vec<KeyValue>>) -> Vec<u8> {
    let span = Span {
        name: "get".to_owned(),
        kind: 3,
        attributes: own,
        ..Span::default()
    };
    let resource_spans = ResourceSpans {
        resource: resource.map(|attributes| Resource {
            attributes,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let resource_spans = vec![resource_spans];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[test]
fn an_item_says_what_it_is() {
    use any_value::Value as V;
    let cases = [
        (V::StringValue("text".to_owned()), Any::Text("text")),
        (V::BoolValue(true), Any::Bool(true)),
        (V::IntValue(-5), Any::Int(-5)),
        (V::DoubleValue(0.5), Any::Double(0.5)),
        (V::BytesValue(vec![1]), Any::Other),
    ];
    for (written, read) in cases {
        for request in [
            request(vec![value(written.clone())], None),
            request(vec![], Some(vec![value(written.clone())])),
        ] {
            let mut seen = 0;
            let left = retain(OtlpSignal::Traces, &request, &mut |item| {
                seen += 1;
                assert_eq!(item.attribute("k"), Some(read));
                assert_eq!(item.attribute("j"), None);
                assert_eq!((item.kind(), item.name()), (Some("client"), Some("get")));
                true
            });
            assert_eq!((left, seen), (Ok(None), 1));
        }
    }
}

#[test]
fn a_request_without_a_resource_gets_one() {
    let before = request(vec![], None);
    let after = rewrite(OtlpSignal::Traces, &before, &mut |level, pairs| {
        if level == Level::Resource {
            pairs.push(Pair::text("k", "v"));
        }
        level == Level::Resource
    });
    let after = ExportTraceServiceRequest::decode(after.unwrap().unwrap()).unwrap();
    let resource = after.resource_spans[0].resource.clone().unwrap();
    assert_eq!(
        resource.attributes,
        [value(any_value::Value::StringValue("v".to_owned()))]
    );
    assert_eq!(after.resource_spans[0].scope_spans[0].spans[0].name, "get");
}

proptest! {
    #[test]
    fn what_is_kept_is_what_it_was(
        which in 0usize..3, seed: u64, requests in 1u64..4, chosen in any::<u64>()
    ) {
        let signal = SIGNALS[which];
        let (before, items) = joined(signal, seed, requests);
        let mut at = 0u32;
        let left = retain(signal, &before, &mut |_| {
            at += 1;
            chosen.rotate_left(at) & 1 == 1
        });
        let left = left.expect("it can be read");
        prop_assert_eq!(u64::from(at), items);
        let all = lines(signal, &before);
        let kept = (1..).zip(&all).filter(|(at, _)| chosen.rotate_left(*at) & 1 == 1);
        let kept: Vec<_> = kept.map(|(_, line)| line.clone()).collect();
        match left {
            None => prop_assert_eq!(kept.len(), all.len()),
            Some((after, count)) => {
                prop_assert_eq!(scan(signal, &after), Ok(count));
                prop_assert_eq!(lines(signal, &after), kept);
            }
        }
    }

    #[test]
    fn attributes_that_are_written_again_are_the_same(
        which in 0usize..3, seed: u64, requests in 1u64..4
    ) {
        let signal = SIGNALS[which];
        let (before, _) = joined(signal, seed, requests);
        let same = rewrite(signal, &before, &mut |_, _| false);
        prop_assert_eq!(same, Ok(None));
        let again = rewrite(signal, &before, &mut |_, pairs| !pairs.is_empty());
        let again = again.expect("it can be read").unwrap_or_else(|| before.clone());
        prop_assert_eq!(lines(signal, &again), lines(signal, &before));
    }

    #[test]
    fn whatever_comes_is_no_panic(
        which in 0usize..3, bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let signal = SIGNALS[which];
        let _ = retain(signal, &bytes, &mut |item| item.attribute("k").is_none());
        let _ = rewrite(signal, &bytes, &mut |_, pairs| {
            pairs.push(Pair::int("k", 1));
            true
        });
    }
}
