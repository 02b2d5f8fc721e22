//! Components that fail are made anew, later each time; what they had is counted; others go on.

use std::time::Duration;

use tapetum_model::{Batch, Origin};
use tapetum_pipeline::{Answer, Engine, Flush, Kind, Running, Tally};
use tapetum_testkit::{Asker, Event, Graph, Sink, Source, Step, Work, options, sample};
use tokio::time::sleep;

fn book(running: &Running, kind: Kind, id: &str) -> Tally {
    let books = running.books();
    assert!(
        books.0.iter().all(|book| book.tally.balances()),
        "{books:?}"
    );
    let pipeline = (kind != Kind::Exporter).then_some("main");
    *books
        .of(kind, id, pipeline)
        .expect("the component has a book")
}

fn graph(source: &Source, work: &Work, sink: &Sink) -> Graph {
    Graph::default()
        .source("in", source)
        .work("work", work)
        .sink("out", sink)
        .pipeline("main", &["in"], &["work"], &["out"])
}

/// A processor that panics at batches of 13 rows, and holds those of 2.
fn touchy() -> Work {
    let mut held = Vec::new();
    Work::new(move |event, out| match event {
        Event::Batch(batch, _) if batch.items() == 13 => {
            held.clear();
            panic!("thirteen")
        }
        Event::Batch(batch, _) if batch.items() == 2 => held.push(batch),
        Event::Batch(batch, _) => out.send(batch),
        Event::Flush(..) => held.drain(..).for_each(|batch| out.send(batch)),
    })
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_panics_is_made_anew_and_what_it_had_is_counted() {
    let (source, work, sink) = (Source::default(), touchy(), Sink::default());
    let spec = graph(&source, &work, &sink).spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    source.send(sample::connections(2)).await.unwrap();
    assert_eq!(book(&running, Kind::Processor, "work").held, 2);
    assert_eq!(
        source.send(sample::connections(13)).await,
        Some(Answer::Accepted)
    );
    let tally = book(&running, Kind::Processor, "work");
    assert_eq!((tally.dropped, tally.held), (15, 0));
    let health = running.health();
    assert!(!health.ready);
    assert!(
        health.text.contains("processor `work` of pipeline `main`: not ready: failed and is made anew after 100ms: it panicked: thirteen"),
        "{}", health.text
    );
    // In its absence a kernel's batch is lost and counted, a peer is asked to come back.
    assert_eq!(
        source.send(sample::connections(3)).await,
        Some(Answer::Accepted)
    );
    let peer = Batch {
        origin: Origin::Peer,
        ..sample::connections(4)
    };
    assert!(matches!(
        source.send(peer.clone()).await,
        Some(Answer::Refused { .. })
    ));
    sleep(Duration::from_millis(101)).await;
    assert!(running.health().ready, "{}", running.health().text);
    assert_eq!(source.send(peer).await, Some(Answer::Accepted));
    assert_eq!(work.built(), 2);
    running.stop().await;
    assert_eq!(sink.items(), 4);
    assert_eq!(
        sink.losses().last().unwrap().queue,
        18,
        "what was lost is told by what comes next"
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_panics_or_fails_is_made_anew() {
    let (source, sink) = (Source::default(), Sink::default());
    let spec = graph(&source, &Work::pass(), &sink).spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    source.panic().await;
    sleep(Duration::from_millis(1)).await;
    assert!(!running.health().ready);
    sleep(Duration::from_millis(100)).await;
    assert!(running.health().ready);
    source.fail().await;
    sleep(Duration::from_millis(150)).await;
    assert!(
        running.health().text.contains("after 200ms: told to"),
        "{}",
        running.health().text
    );
    sleep(Duration::from_millis(51)).await;
    assert!(running.health().ready);
    assert_eq!(source.built(), 3);
    source.send(sample::connections(5)).await.unwrap();
    running.stop().await;
    assert_eq!(sink.items(), 5);
}

/// What was remembered of connections that were open would be counted again when they are found again,
/// and what closed meanwhile would stay for ever.
#[tokio::test(start_paused = true)]
async fn with_a_receiver_of_records_the_processors_behind_it_are_made_anew() {
    let (source, other, sink) = (Source::default(), Source::default(), Sink::default());
    // Each instance holds what it takes, gives two items of it when it ends, and forgets the rest.
    let work = Work::each(None, || {
        let mut held = 0;
        move |event, out: &mut tapetum_pipeline::Output| match event {
            Event::Batch(batch, _) => held += batch.items(),
            Event::Flush(Flush::Drain, _) if held > 2 => out.send(sample::connections(2)),
            Event::Flush(..) => {}
        }
    });
    let untouched = Work::pass();
    let spec = graph(&source, &work, &sink)
        .source("other", &other)
        .work("untouched", &untouched)
        .pipeline("apart", &["other"], &["untouched"], &["out"])
        .spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    source.send(sample::connections(7)).await.unwrap();
    assert_eq!(book(&running, Kind::Processor, "work").held, 7);
    source.panic().await;
    sleep(Duration::from_millis(101)).await;
    let tally = book(&running, Kind::Processor, "work");
    assert_eq!((tally.out, tally.held, tally.dropped), (2, 0, 5));
    assert_eq!((work.built(), untouched.built()), (2, 1));
    assert!(running.health().ready, "{}", running.health().text);
    source.send(sample::connections(1)).await.unwrap();
    assert_eq!(book(&running, Kind::Processor, "work").held, 1, "a new one");
    assert_eq!(sink.items(), 2, "what the old one gave at its end went on");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_panics_loses_its_message_only() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Take, Step::Panic]);
    let spec = graph(&source, &Work::pass(), &sink).spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    for items in [1, 2, 3, 4] {
        source.send(sample::connections(items)).await.unwrap();
    }
    sleep(Duration::from_millis(1)).await;
    let tally = book(&running, Kind::Exporter, "out");
    assert_eq!((tally.out, tally.dropped, tally.held), (1, 2, 7));
    assert!(!running.health().ready);
    sleep(Duration::from_millis(100)).await;
    assert!(running.health().ready);
    assert_eq!((sink.items(), sink.built()), (8, 2));
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_panics_costs_its_batch_and_the_queue_waits() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Later(Some(Duration::from_secs(60)))]);
    let spec = graph(&source, &Work::pass(), &sink).spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    source.send(sample::connections(1)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    sink.panic_at_encode();
    source.send(sample::connections(2)).await.unwrap();
    source.send(sample::connections(4)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let tally = book(&running, Kind::Exporter, "out");
    assert_eq!(
        (tally.dropped, tally.held),
        (6, 1),
        "the message that waits is kept"
    );
    assert!(!running.health().ready);
    sleep(Duration::from_millis(101)).await;
    assert!(running.health().ready);
    source.send(sample::connections(8)).await.unwrap();
    sleep(Duration::from_secs(61)).await;
    assert_eq!((sink.items(), sink.built()), (9, 2));
    assert_eq!(sink.losses().last().unwrap().queue, 6);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_always_fails_is_tried_ever_more_seldom() {
    let (source, sink) = (Source::default(), Sink::default());
    let work = Work::new(|event, _| {
        if let Event::Batch(..) = event {
            panic!("always");
        }
    });
    let spec = graph(&source, &work, &sink).spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    for _ in 0..600 {
        source.send(sample::connections(1)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert!((15..=40).contains(&work.built()), "{}", work.built());
    let tally = book(&running, Kind::Processor, "work");
    assert_eq!((tally.taken, tally.dropped), (600, 600));
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_asks_is_made_anew_too() {
    let (source, asker) = (Source::default(), Asker::default());
    let graph = Graph::default()
        .source("in", &source)
        .asker("ask", &asker)
        .pipeline("main", &["in"], &[], &["ask"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    asker.panic().await;
    sleep(Duration::from_millis(1)).await;
    let health = running.health();
    assert!(
        health.text.contains("exporter `ask`: not ready: failed"),
        "{}",
        health.text
    );
    sleep(Duration::from_millis(100)).await;
    assert!(running.health().ready);
    assert!(asker.collect().await.is_some());
    assert!(running.stop().await.cut_off.is_empty());
}
