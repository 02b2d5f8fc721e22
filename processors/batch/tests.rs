//! What `batch` promises: sizes, times, completeness, books, and that nobody can tell joined from apart.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;
use tapetum_model::{
    Loss, Metric, Otlp, OtlpSignal, Payload, Point, PointValue, Records, UnixNanos, Window,
};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

fn joiner(bytes: usize) -> Joiner {
    let text = format!("bytes = \"{bytes}B\"\nwait = \"200ms\"");
    Joiner::new(settings(&text).read().expect("a size and a time"))
}

/// A request of `spans` spans whose names have `long` letters; the `n`th.
fn request(n: u64, spans: u64, long: usize) -> ExportTraceServiceRequest {
    let value = any_value::Value::StringValue(format!("service-{n}"));
    let name = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let span = |at: u64| Span {
        span_id: (n << 32 | at).to_be_bytes().to_vec(),
        name: "x".repeat(long),
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![name],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: (0..spans).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn batch(n: u64, spans: u64, long: usize) -> Batch {
    Batch {
        payload: Payload::Otlp(Otlp {
            signal: OtlpSignal::Traces,
            items: spans,
            bytes: request(n, spans, long).encode_to_vec().into(),
            peer: None,
        }),
        window: Window {
            start: UnixNanos(100 * n),
            end: UnixNanos(100 * n + 50),
        },
        loss: Loss {
            queue: n,
            ..Loss::default()
        },
        origin: Origin::Peer,
    }
}

fn bytes_of(batch: &Batch) -> Bytes {
    match &batch.payload {
        Payload::Otlp(otlp) => otlp.bytes.contiguous(),
        _ => panic!("OTLP"),
    }
}

/// Every span with its service, in order.
fn spans_of<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Vec<(String, Vec<u8>)> {
    let mut spans = Vec::new();
    for batch in batches {
        let request = ExportTraceServiceRequest::decode(bytes_of(batch)).expect("OTLP");
        let before = spans.len();
        for of_resource in request.resource_spans {
            let service = format!("{:?}", of_resource.resource);
            for span in of_resource.scope_spans.into_iter().flat_map(|of| of.spans) {
                spans.push((service.clone(), span.span_id));
            }
        }
        assert_eq!(batch.items(), (spans.len() - before) as u64);
    }
    spans
}

#[test]
fn batches_become_one_that_says_what_all_of_them_said() {
    let (mut joiner, mut books) = (joiner(1 << 20), Books::default());
    // Long requests stay as they are, short ones are copied behind each other.
    let all = [
        batch(3, 100, 100),
        batch(1, 2, 1),
        batch(2, 1, 1),
        batch(4, 80, 90),
    ];
    for each in &all {
        let out = books.process(&mut joiner, each.clone(), moment(1));
        assert!(out.batches.is_empty());
    }
    assert_eq!(books.held, 183);
    let out = books.flush(&mut joiner, Flush::Timer, moment(2));
    let [joined] = &out.batches[..] else {
        panic!("{} batches", out.batches.len())
    };
    assert_eq!(
        (
            joined.window.start.0,
            joined.window.end.0,
            joined.loss.queue
        ),
        (100, 450, 10)
    );
    assert_eq!(joined.origin, Origin::Peer);
    assert_eq!(spans_of([joined]), spans_of(&all));
    let Payload::Otlp(otlp) = &joined.payload else {
        panic!("OTLP")
    };
    assert_eq!(otlp.bytes.iter().count(), 3);
    assert_eq!(books.held, 0);
}

#[test]
fn it_goes_on_before_it_would_be_too_large_and_when_it_is_full() {
    let one = bytes_of(&batch(1, 10, 100)).len();
    let (mut joiner, mut books) = (joiner(3 * one), Books::default());
    let mut given = Vec::new();
    for n in 1..=7 {
        let out = books.process(&mut joiner, batch(n, 10, 100), moment(1));
        given.push(out.batches.iter().map(Batch::items).collect::<Vec<_>>());
    }
    let full = |n| if n % 3 == 0 { vec![30] } else { vec![] };
    assert_eq!(given, (1..=7).map(full).collect::<Vec<_>>());
    let out = books.process(&mut joiner, batch(8, 25, 100), moment(1));
    assert_eq!(out.batches[0].items(), 10, "the two do not fit together");
}

#[test]
fn what_comes_too_large_is_cut_and_what_was_lost_is_told_once() {
    let (mut joiner, mut books) = (joiner(20_000), Books::default());
    books.process(&mut joiner, batch(1, 1, 1), moment(1));
    let large = batch(2, 1_000, 100);
    let out = books.process(&mut joiner, large.clone(), moment(1));
    assert_eq!(out.batches[0].items(), 1, "first what waited");
    let parts = &out.batches[1..];
    assert!(parts.len() >= 6, "{}", parts.len());
    assert!(parts.iter().all(|part| bytes_of(part).len() <= 20_000));
    assert_eq!(spans_of(parts), spans_of([&large]));
    let told: Vec<_> = parts.iter().map(|part| part.loss.queue).collect();
    assert_eq!((told[0], told[1..].iter().sum::<u64>()), (2, 0));
    assert!(parts.iter().all(|part| part.window == large.window));
    assert_eq!(books.held, 0);
}

#[test]
fn rows_are_joined_and_cut_too() {
    let row = size_of::<tapetum_model::Connection>();
    let (mut joiner, mut books) = (joiner(row * 100), Books::default());
    let mut out = books.process(&mut joiner, sample::connections(60), moment(1));
    assert!(out.batches.is_empty());
    out = books.process(&mut joiner, sample::connections(40), moment(1));
    assert_eq!(out.batches[0].items(), 100);
    let Payload::Records(Records::Connections(rows)) = &out.batches[0].payload else {
        panic!("rows")
    };
    assert_eq!(
        (&rows[59], &rows[60]),
        (&sample::connection(59), &sample::connection(0))
    );
    out = books.process(&mut joiner, sample::connections(250), moment(1));
    let items: Vec<_> = out.batches.iter().map(Batch::items).collect();
    assert_eq!(items, [100, 100, 50]);
}

#[test]
fn kinds_and_origins_stay_apart_and_a_drain_gives_all() {
    let (mut joiner, mut books) = (joiner(1 << 20), Books::default());
    let mut logs = batch(1, 1, 1);
    if let Payload::Otlp(otlp) = &mut logs.payload {
        otlp.signal = OtlpSignal::Logs;
    }
    let mut own = batch(2, 1, 1);
    own.origin = Origin::Flush;
    let all = [batch(1, 1, 1), logs, own, sample::connections(5)];
    for each in all {
        let out = books.process(&mut joiner, each, moment(1));
        assert!(out.batches.is_empty());
    }
    let out = books.flush(&mut joiner, Flush::Drain, moment(2));
    let of = |batch: &Batch| (batch.signal(), batch.origin);
    let kinds: Vec<_> = out.batches.iter().map(of).collect();
    assert_eq!(
        kinds,
        [
            (Signal::Traces, Origin::Peer),
            (Signal::Logs, Origin::Peer),
            (Signal::Traces, Origin::Flush),
            (Signal::Connections, Origin::Kernel),
        ]
    );
}

#[test]
fn nothing_older_stays_when_something_leaves() {
    let one = bytes_of(&batch(1, 10, 100)).len();
    let (mut joiner, mut books) = (joiner(2 * one), Books::default());
    let mut logs = batch(1, 3, 1);
    if let Payload::Otlp(otlp) = &mut logs.payload {
        otlp.signal = OtlpSignal::Logs;
    }
    let mut step = |next: Batch| {
        let out = books.process(&mut joiner, next, moment(1));
        let left: Vec<_> = out.batches.iter().map(Batch::items).collect();
        (left, books.held)
    };
    assert_eq!(step(logs.clone()), (vec![], 3));
    assert_eq!(step(batch(2, 10, 100)), (vec![], 13));
    assert_eq!(step(batch(3, 10, 100)), (vec![3, 20], 0), "it is full");
    assert_eq!(step(logs.clone()), (vec![], 3));
    let (left, held) = step(batch(4, 50, 100));
    assert_eq!(
        (left[0], left.iter().sum::<u64>(), held),
        (3, 53, 0),
        "it is cut"
    );
    assert_eq!(step(logs), (vec![], 3));
    assert_eq!(step(batch(5, 15, 100)), (vec![], 18));
    assert_eq!(step(batch(6, 10, 100)), (vec![3, 15], 10), "it has no room");
}

#[test]
fn points_pass_and_an_empty_batch_still_says_what_it_says() {
    let (mut joiner, mut books) = (joiner(1 << 20), Books::default());
    let point = Point {
        metric: Metric::FlowBytes,
        attributes: Default::default(),
        start: UnixNanos(1),
        time: UnixNanos(2),
        value: PointValue::Ended,
        exemplar: None,
    };
    let mut points = sample::connections(0);
    points.payload = Payload::Points(vec![point]);
    let out = books.process(&mut joiner, points, moment(1));
    assert_eq!(out.batches[0].items(), 1);
    let out = books.process(&mut joiner, batch(7, 0, 0), moment(1));
    assert!(out.batches.is_empty());
    let out = books.flush(&mut joiner, Flush::Timer, moment(1));
    assert_eq!((out.batches.len(), out.batches[0].loss.queue), (1, 7));
}

#[test]
fn its_options_are_checked_and_it_builds() {
    let problems = |text: &str| {
        let problems = (COMPONENT.check)(&settings(text));
        problems
            .into_iter()
            .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        problems("bytes = \"1KiB\"\nwait = \"0s\""),
        [
            "bytes: must be between 16KiB and 64MiB",
            "wait: must be more than nothing and at most 10s"
        ]
    );
    assert!(problems(COMPONENT.example).is_empty());
    let defaults = settings(COMPONENT.example);
    assert_eq!((COMPONENT.bound)(&defaults).user_bytes, 20 << 20);
    let Build::Processor(build) = COMPONENT.build else {
        panic!("a processor")
    };
    let made = build(&defaults, &context("batch")).unwrap();
    assert_eq!(made.flush_every(), Some(Duration::from_millis(200)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: every span goes on once, with its resource, in its order, and no
    /// batch is larger than it may be.
    #[test]
    fn nothing_is_lost_doubled_or_too_large(
        sizes in prop::collection::vec((0u64..60, 0usize..300), 1..30),
        bytes_max in 2_000usize..40_000,
        flush_each in 1usize..10,
    ) {
        let (mut joiner, mut books) = (joiner(bytes_max), Books::default());
        let mut came = Vec::new();
        let mut gone = Vec::new();
        for (n, (spans, long)) in sizes.into_iter().enumerate() {
            let each = batch(n as u64, spans, long);
            came.push(each.clone());
            gone.extend(books.process(&mut joiner, each, moment(1)).batches);
            if n % flush_each == 0 {
                gone.extend(books.flush(&mut joiner, Flush::Timer, moment(2)).batches);
            }
        }
        gone.extend(books.flush(&mut joiner, Flush::Drain, moment(3)).batches);
        prop_assert_eq!(spans_of(&gone), spans_of(&came));
        let lost = |batches: &[Batch]| batches.iter().map(|batch| batch.loss.queue).sum::<u64>();
        prop_assert_eq!(lost(&gone), lost(&came));
        for batch in &gone {
            prop_assert!(bytes_of(batch).len() <= bytes_max, "{} of {bytes_max}", bytes_of(batch).len());
        }
    }
}
