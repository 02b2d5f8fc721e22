//! What differs is exchanged between two batches, and what it held goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tapetum_pipeline::{Engine, Kind};
use tapetum_testkit::{Asker, Event, Graph, Sink, Source, Step, Work, options, sample};

use crate::{balanced, reload};

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_dead_backend_goes_to_the_new_one() {
    let source = Source::default();
    let (wrong, right) = (Sink::default(), Sink::default());
    wrong.always(Step::Later(None));
    let to = |sink: &Sink| {
        let graph = Graph::default().source("in", &source).sink("out", sink);
        graph.pipeline("main", &["in"], &[], &["out"]).spec()
    };
    let mut running = Engine::start(to(&wrong), options(1)).await.unwrap();
    for n in 1..=4 {
        source.send(sample::connections(n)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let done = reload(&mut running, to(&right)).await;
    assert_eq!(done.made, ["out"]);
    source.send(sample::connections(5)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((wrong.items(), right.items()), (0, 15));
    let report = running.stop().await;
    balanced(&report.books);
    assert_eq!(
        report.books.of(Kind::Exporter, "out", None).unwrap().out,
        15
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_described_anew_drains_beside_the_new_one() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.always(Step::Slow(Duration::from_secs(1)));
    let of = |size| {
        let graph = Graph::default().source("in", &source).sink("out", &sink);
        let graph = graph.queue(size, None);
        graph.pipeline("main", &["in"], &[], &["out"]).spec()
    };
    let mut running = Engine::start(of(1 << 20), options(1)).await.unwrap();
    for _ in 0..5 {
        source.send(sample::connections(2)).await;
    }
    reload(&mut running, of(2 << 20)).await;
    source.send(sample::connections(7)).await;
    let report = running.stop().await;
    balanced(&report.books);
    assert_eq!((sink.items(), report.left), (17, vec![]));
}

/// A processor that holds rows until it is flushed.
fn holder(flushes: &Arc<AtomicU64>) -> Work {
    let flushes = Arc::clone(flushes);
    let mut held = Vec::new();
    Work::every(None, move |event, out| match event {
        Event::Batch(batch, _) => held.push(batch),
        Event::Flush(..) => {
            flushes.fetch_add(1, Ordering::Relaxed);
            held.drain(..).for_each(|batch| out.send(batch));
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_goes_gives_what_it_holds_and_one_that_stays_keeps_it() {
    let flushes = [Arc::default(), Arc::default()];
    let (goes, stays) = (holder(&flushes[0]), holder(&flushes[1]));
    let (source, sink) = (Source::default(), Sink::default());
    let base = || {
        let graph = Graph::default().source("in", &source).sink("out", &sink);
        graph.work("stays", &stays)
    };
    let before = base().work("goes", &goes);
    let before = before.pipeline("main", &["in"], &["goes", "stays"], &["out"]);
    let after = base().pipeline("main", &["in"], &["stays"], &["out"]);
    let mut running = Engine::start(before.spec(), options(1)).await.unwrap();
    source.send(sample::connections(9)).await;
    reload(&mut running, after.spec()).await;
    let count = |at: usize| flushes[at].load(Ordering::Relaxed);
    // What one gave, the other holds now.
    assert_eq!((count(0), count(1), sink.items()), (1, 0, 0));
    let books = running.books();
    let held = |id| books.of(Kind::Processor, id, Some("main")).unwrap().held;
    assert_eq!((held("goes"), held("stays")), (0, 9));
    balanced(&running.stop().await.books);
    assert_eq!((sink.items(), stays.built()), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn a_changed_receiver_says_its_last_words_first() {
    let (source, sink) = (Source::default(), Sink::default());
    let work = Work::pass();
    let graph = |variant| {
        let graph = Graph::default().source("in", &source).sink("out", &sink);
        let graph = graph
            .work("pass", &work)
            .vary(Kind::Receiver, "in", variant);
        graph.pipeline("main", &["in"], &["pass"], &["out"]).spec()
    };
    let mut running = Engine::start(graph(1), options(1)).await.unwrap();
    source.send(sample::connections(3)).await;
    reload(&mut running, graph(2)).await;
    source.send(sample::connections(4)).await;
    // A receiver of records tells of all that is open again: who remembers begins anew with it.
    assert_eq!((source.built(), work.built()), (2, 2));
    balanced(&running.stop().await.books);
    assert_eq!(sink.items(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_hold_up_the_others() {
    let (source, sink) = (Source::default(), Sink::default());
    let graph = |variant| {
        let graph = Graph::default().source("in", &source).sink("out", &sink);
        let graph = graph.vary(Kind::Receiver, "in", variant);
        graph.pipeline("main", &["in"], &[], &["out"]).spec()
    };
    let mut running = Engine::start(graph(1), options(1)).await.unwrap();
    source.hang().await;
    let begun = tokio::time::Instant::now();
    reload(&mut running, graph(2)).await;
    assert!(begun.elapsed() <= Duration::from_secs(5));
    source.send(sample::connections(4)).await;
    balanced(&running.stop().await.books);
    assert_eq!(sink.items(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_asks_asks_the_pipelines_of_now() {
    let (source, asker) = (Source::default(), Asker::default());
    let sink = Sink::default();
    let holds = |n: u64| {
        Work::every(None, move |event, out| match event {
            Event::Batch(batch, _) => out.absorbed += batch.items(),
            Event::Flush(..) => {
                out.made += n;
                out.send(sample::connections(usize::try_from(n).unwrap()));
            }
        })
    };
    let (three, five) = (holds(3), holds(5));
    let graph = |more: bool| {
        let graph = Graph::default().source("in", &source).asker("asks", &asker);
        let graph = graph.work("three", &three).sink("out", &sink);
        let graph = graph.pipeline("a", &["in"], &["three"], &["asks", "out"]);
        if !more {
            return graph.spec();
        }
        let graph = graph.work("five", &five);
        graph.pipeline("b", &["in"], &["five"], &["asks"]).spec()
    };
    let mut running = Engine::start(graph(false), options(1)).await.unwrap();
    let asked = async || {
        let batches = asker.collect().await.unwrap_or_default();
        batches.iter().map(tapetum_model::Batch::items).sum::<u64>()
    };
    assert_eq!(asked().await, 3);
    reload(&mut running, graph(true)).await;
    assert_eq!(asked().await, 8);
    reload(&mut running, graph(false)).await;
    assert_eq!(asked().await, 3);
    balanced(&running.stop().await.books);
}
