//! What `memory_limiter` does to a pipeline: through the engine for the door, alone for what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tapetum_model::{Connections, Origin, Records};
use tapetum_pipeline::{Answer, Engine, Kind, Running};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{Graph, Sink, Source, context, options, sample, settings};

use super::*;

const DEFAULTS: &str =
    "soft = '80%'\nhard = '90%'\nhysteresis = '5%'\ncheck = '100ms'\nretry = '3s'";

fn rows(out: &Output) -> &Connections {
    match &out.batches[0].payload {
        Payload::Records(Records::Connections(rows)) => rows,
        _ => panic!("records"),
    }
}

#[test]
fn above_hard_rows_stay_and_spans_go() {
    let context = context("memory_limiter");
    context.memory.set_limit(1000);
    let mut limiter = Limiter::new(settings(DEFAULTS).read().unwrap(), &context);
    let mut spans = |used| {
        context.memory.set_used(used);
        let out = Books::default().process(&mut limiter, sample::connections(64), moment(1));
        let rows = rows(&out);
        assert_eq!(rows.len(), 64);
        rows.spans().count()
    };
    let all = spans(100);
    assert!(all > 0);
    assert_eq!(
        (spans(850), spans(900), spans(860), spans(840)),
        (all, 0, 0, all)
    );
}

#[test]
fn it_opens_without_anything_coming_and_when_it_goes() {
    let context = context("memory_limiter");
    context.memory.set_limit(1000);
    context.memory.set_used(800);
    let mut limiter = Limiter::new(settings(DEFAULTS).read().unwrap(), &context);
    let mut out = Output::default();
    limiter.flush(Flush::Timer, moment(1), &mut out);
    assert_eq!(context.gate.closed(), Some(Duration::from_secs(3)));
    assert!(
        context
            .health
            .state()
            .note
            .unwrap()
            .contains("800B of 1000B")
    );
    context.memory.set_used(700);
    limiter.flush(Flush::Timer, moment(2), &mut out);
    assert_eq!(
        (context.gate.closed(), context.health.state().note),
        (None, None)
    );
    context.memory.set_used(950);
    limiter.flush(Flush::Timer, moment(3), &mut out);
    assert_eq!(context.gate.level(), Pressure::Full);
    drop(limiter);
    assert_eq!(context.gate.level(), Pressure::None);
}

async fn behind(source: &Source, sink: &Sink, used: &Arc<AtomicU64>) -> Running {
    let graph = Graph::default().source("in", source).sink("out", sink);
    let graph = graph.component("memory_limiter", &COMPONENT, settings(DEFAULTS));
    let spec = graph
        .pipeline("main", &["in"], &["memory_limiter"], &["out"])
        .spec();
    let mut options = options(1);
    let used = Arc::clone(used);
    options.memory_used = Some(Arc::new(move |_| Some(used.load(Ordering::Relaxed) << 20)));
    Engine::start(spec, options).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_refused_and_the_kernel_is_not() {
    let (source, sink) = (Source::default(), Sink::default());
    let used = Arc::new(AtomicU64::new(10));
    let running = behind(&source, &sink, &used).await;
    let peer = || Batch {
        origin: Origin::Peer,
        ..sample::connections(4)
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(source.send(peer()).await, Some(Answer::Accepted));
    assert_eq!(source.pressure().await, Some(Pressure::None));
    used.store(210, Ordering::Relaxed); // Of 256.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = Duration::from_secs(3);
    assert_eq!(source.send(peer()).await, Some(Answer::Refused { after }));
    assert_eq!(source.pressure().await, Some(Pressure::Some));
    assert_eq!(
        source.send(sample::connections(4)).await,
        Some(Answer::Accepted)
    );
    assert!(
        running
            .health()
            .text
            .contains("memory is short: 210MiB of 256MiB")
    );
    used.store(10, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(source.send(peer()).await, Some(Answer::Accepted));
    let report = running.stop().await;
    let tally = *report.books.of(Kind::Receiver, "in", Some("main")).unwrap();
    assert_eq!((tally.taken, tally.refused, tally.out), (16, 4, 12));
    assert_eq!(sink.items(), 12);
}

#[test]
fn its_options_are_checked_and_it_builds() {
    let said = |wrong: &str| {
        let mut table = settings(DEFAULTS).table().clone();
        table.extend(settings(wrong).table().clone());
        let problems = (COMPONENT.check)(&Settings::new(table));
        problems
            .into_iter()
            .flat_map(|problem| problem.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(said(""), [""; 0]);
    assert_eq!(said("hard = '70%'"), ["hard"]);
    assert_eq!(said("hysteresis = '80%'"), ["hysteresis"]);
    assert_eq!(said("soft = '0%'"), ["soft", "hysteresis"]);
    assert_eq!(said("limit = '0KiB'\ncheck = '1ms'"), ["limit", "check"]);
    assert!(build(&settings(DEFAULTS), &context("memory_limiter")).is_ok());
}
