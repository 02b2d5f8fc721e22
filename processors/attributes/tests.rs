//! What each action does to each thing that flows.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tapetum_model::{Attr, Loss, Origin, Otlp, OtlpSignal, Records, Window};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

const ALL: &str = r#"
salt = "s"
actions = [
  { do = "insert", attribute = "team", value = "core" },
  { do = "insert", attribute = "service.name", value = "not this" },
  { do = "update", attribute = "zone", value = "b" },
  { do = "update", attribute = "absent", value = "not this" },
  { do = "delete", attribute = "secret" },
  { do = "hash", attribute = "user" },
  { do = "rename", attribute = "old", to = "new" },
  { do = "insert", attribute = "here", value = "yes", on = "item" },
]"#;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let texts = attributes.iter().map(|pair| {
        let Some(Value::StringValue(text)) = pair.value.clone().and_then(|any| any.value) else {
            panic!("a text")
        };
        (pair.key.clone(), text)
    });
    texts.collect()
}

fn batch(resource: &[(&str, &str)], own: &[(&str, &str)]) -> Batch {
    let span = Span {
        name: "get".to_owned(),
        attributes: attributes(own),
        ..Span::default()
    };
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource {
            attributes: attributes(resource),
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }];
    let request = ExportTraceServiceRequest { resource_spans };
    Batch {
        payload: Payload::Otlp(Otlp {
            signal: OtlpSignal::Traces,
            items: 1,
            bytes: request.encode_to_vec().into(),
            peer: None,
        }),
        window: Window::default(),
        loss: Loss::default(),
        origin: Origin::Peer,
    }
}

fn edited(options: &str, batch: Batch) -> Payload {
    let mut editor = build(&settings(options), &context("attributes")).unwrap();
    let out = Books::default().process(editor.as_mut(), batch, moment(1));
    assert_eq!(out.batches.len(), 1);
    out.batches.into_iter().next().unwrap().payload
}

#[test]
fn each_action_on_otlp() {
    let resource = [
        ("service.name", "shop"),
        ("zone", "a"),
        ("secret", "x"),
        ("new", "gone"),
    ];
    let own = [("user", "ann"), ("old", "1"), ("secret", "y")];
    let Payload::Otlp(otlp) = edited(ALL, batch(&resource, &own)) else {
        panic!("OTLP")
    };
    let request = ExportTraceServiceRequest::decode(&otlp.bytes.contiguous()[..]).unwrap();
    let resource_spans = &request.resource_spans[0];
    let resource = texts(&resource_spans.resource.as_ref().unwrap().attributes);
    let seen: Vec<_> = resource
        .iter()
        .map(|(key, text)| (&**key, &**text))
        .collect();
    assert_eq!(
        seen,
        [
            ("service.name", "shop"),
            ("zone", "b"),
            ("new", "gone"),
            ("team", "core")
        ]
    );
    let span = &resource_spans.scope_spans[0].spans[0];
    let own = texts(&span.attributes);
    let keys: Vec<_> = own.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["user", "new", "here"]);
    assert_eq!((own[0].1.len(), &*own[1].1, &*own[2].1), (32, "1", "yes"));
    assert_eq!(span.name, "get");
}

#[test]
fn a_hash_is_the_same_for_the_same_value_and_salt() {
    let hashed = |salt: &str, user: &str| {
        let options = format!("salt = '{salt}'\nactions = [{{ do = 'hash', attribute = 'user' }}]");
        let Payload::Otlp(otlp) = edited(&options, batch(&[], &[("user", user)])) else {
            panic!("OTLP")
        };
        let request = ExportTraceServiceRequest::decode(&otlp.bytes.contiguous()[..]).unwrap();
        texts(&request.resource_spans[0].scope_spans[0].spans[0].attributes)[0]
            .1
            .clone()
    };
    assert_eq!(hashed("a", "ann"), hashed("a", "ann"));
    assert_ne!(hashed("a", "ann"), hashed("b", "ann"));
    assert_ne!(hashed("a", "ann"), hashed("a", "bob"));
}

#[test]
fn bytes_that_no_action_changes_stay() {
    let options = "actions = [{ do = 'delete', attribute = 'absent' }]";
    let before = batch(&[("zone", "a")], &[]);
    let Payload::Otlp(was) = before.payload.clone() else {
        panic!("OTLP")
    };
    let Payload::Otlp(is) = edited(options, before) else {
        panic!("OTLP")
    };
    assert_eq!(
        is.bytes.contiguous().as_ptr(),
        was.bytes.contiguous().as_ptr()
    );
}

#[test]
fn the_near_end_of_connections() {
    let options = r#"actions = [
      { do = "insert", attribute = "team", value = "core" },
      { do = "rename", attribute = "service.name", to = "k8s.pod.name" },
    ]"#;
    let before = sample::connections(64);
    let Payload::Records(Records::Connections(rows)) = edited(options, before) else {
        panic!("records")
    };
    let mut named = 0;
    for (n, row) in rows.iter().enumerate() {
        let was = sample::connection(n as u64);
        assert_eq!(row.remote, was.remote);
        let (Some(is), Some(was)) = (&row.local.entity, &was.local.entity) else {
            assert_eq!(row.local, was.local);
            continue;
        };
        named += 1;
        assert_eq!(
            is.attribute(&Attr::Custom("team".into()))
                .map(|text| &**text),
            Some("core")
        );
        assert_eq!(is.name(), None);
        assert_eq!(is.attribute(&Attr::K8sPodName), was.name());
    }
    assert!(named > 0);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |actions: &str| {
        let problems = (COMPONENT.check)(&settings(&format!("actions = [{actions}]")));
        problems
            .into_iter()
            .map(|problem| problem.path.join("/"))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(""), ["actions"]);
    assert_eq!(
        said("{ do = 'insert', attribute = 'a' }"),
        ["actions/0/value"]
    );
    assert_eq!(said("{ do = 'rename', attribute = 'a' }"), ["actions/0/to"]);
    let right = "{ do = 'delete', attribute = 'a' }";
    assert_eq!(said(right), [""; 0]);
    assert_eq!(
        said(&format!(
            "{right}, {{ do = 'hash', attribute = '', value = 'v' }}"
        )),
        ["actions/1/attribute", "actions/1/value"]
    );
    assert!((COMPONENT.check)(&settings(COMPONENT.example)).is_empty());
    assert!((COMPONENT.bound)(&settings(COMPONENT.example)).user_bytes < 32 << 20);
}
