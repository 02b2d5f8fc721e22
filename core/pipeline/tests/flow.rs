//! Batches through a whole graph: fan-out, fan-in, sharing, scrape, timer, order of start and stop.

use std::time::Duration;

use tapetum_model::Origin;
use tapetum_pipeline::{Answer, Engine, Flush, Kind};
use tapetum_testkit::{Asker, Event, Graph, Sink, Source, Work, options, sample};

#[tokio::test(start_paused = true)]
async fn a_batch_reaches_every_exporter_once_and_the_books_say_so() {
    let (source, left, right) = (Source::default(), Sink::default(), Sink::default());
    let graph = Graph::default()
        .source("tcp", &source)
        .work("pass", &Work::pass())
        .sink("left", &left)
        .sink("right", &right)
        .pipeline("main", &["tcp"], &["pass"], &["left", "right"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for _ in 0..10 {
        let answer = source.send(sample::connections(100)).await;
        assert_eq!(answer, Some(Answer::Accepted));
    }
    let report = running.stop().await;
    assert_eq!(report.took, Duration::ZERO);
    assert_eq!((report.left, report.cut_off), (vec![], vec![]));
    assert_eq!((left.items(), right.items()), (1000, 1000));
    let book = |kind, id, pipeline| *report.books.of(kind, id, pipeline).unwrap();
    assert_eq!(book(Kind::Receiver, "tcp", Some("main")).out, 1000);
    assert_eq!(book(Kind::Processor, "pass", Some("main")).out, 1000);
    for id in ["left", "right"] {
        let tally = book(Kind::Exporter, id, None);
        assert_eq!((tally.taken, tally.out, tally.held), (1000, 1000, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn receivers_and_exporters_are_shared_and_processors_are_one_a_pipeline() {
    let (first, second) = (Source::default(), Source::default());
    let (work, sink) = (Work::pass(), Sink::default());
    let graph = Graph::default()
        .source("first", &first)
        .source("second", &second)
        .work("pass", &work)
        .sink("out", &sink)
        .pipeline("a", &["first", "second"], &["pass"], &["out"])
        .pipeline("b", &["first"], &["pass"], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    first.send(sample::connections(3)).await.unwrap();
    second.send(sample::connections(5)).await.unwrap();
    let report = running.stop().await;
    assert_eq!((first.built(), work.built(), sink.built()), (1, 2, 1));
    assert_eq!(sink.items(), 3 + 3 + 5);
    let taken = |pipeline| {
        let tally = report.books.of(Kind::Processor, "pass", Some(pipeline));
        tally.unwrap().taken
    };
    assert_eq!((taken("a"), taken("b")), (8, 3));
}

/// Holds rows until a flush; gives copies of them at a scrape, as `aggregate` gives points.
fn holder(every: Option<Duration>) -> Work {
    let mut rows = Vec::new();
    Work::every(every, move |event, out| match event {
        Event::Batch(batch, _) => {
            out.absorbed += batch.items();
            rows.push(batch);
        }
        Event::Flush(Flush::Scrape, _) => {
            for batch in &rows {
                out.made += batch.items();
                out.send(batch.clone());
            }
        }
        Event::Flush(_, _) => {
            for mut batch in std::mem::take(&mut rows) {
                batch.origin = Origin::Flush;
                out.made += batch.items();
                out.send(batch);
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_scrape_sees_all_that_was_received_before_and_only_the_asker_gets_it() {
    let (source, sink, asker) = (Source::default(), Sink::default(), Asker::default());
    let graph = Graph::default()
        .source("tcp", &source)
        .work("hold", &holder(None))
        .work("pass", &Work::pass())
        .sink("otlp", &sink)
        .asker("prometheus", &asker)
        .pipeline("main", &["tcp"], &["hold", "pass"], &["otlp", "prometheus"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(7)).await.unwrap();
    for _ in 0..2 {
        let (given, answer) = tokio::join!(asker.collect(), source.send(sample::connections(0)));
        assert_eq!(answer, Some(Answer::Accepted));
        let items: u64 = given.unwrap().iter().map(tapetum_model::Batch::items).sum();
        assert_eq!(items, 7);
    }
    assert_eq!(sink.items(), 0);
    let report = running.stop().await;
    assert_eq!(sink.items(), 7, "the drain goes to those that are sent to");
    let asked = report.books.of(Kind::Exporter, "prometheus", None).unwrap();
    assert_eq!((asked.taken, asked.out), (14, 14));
}

#[tokio::test(start_paused = true)]
async fn the_timer_flushes_through_the_rest_of_the_chain() {
    let (source, sink) = (Source::default(), Sink::default());
    let seen = Work::new(|event, out| {
        if let Event::Batch(batch, now) = event {
            assert_eq!(now.monotonic, Duration::from_secs(10));
            out.filter("seen", 1);
            let tapetum_model::Payload::Records(tapetum_model::Records::Connections(rows)) =
                batch.payload
            else {
                panic!("rows")
            };
            let mut rows = rows.into_vec();
            rows.pop();
            out.send(sample::batch(rows));
        }
    });
    let graph = Graph::default()
        .source("tcp", &source)
        .work("hold", &holder(Some(Duration::from_secs(10))))
        .work("seen", &seen)
        .sink("out", &sink)
        .pipeline("main", &["tcp"], &["hold", "seen"], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(7)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(9_999)).await;
    assert_eq!(sink.items(), 0);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(sink.items(), 6);
    let books = running.books();
    let tally = books.of(Kind::Processor, "hold", Some("main")).unwrap();
    assert_eq!(
        (tally.absorbed, tally.made, tally.out, tally.held),
        (7, 7, 7, 0)
    );
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_is_said_and_its_pipeline_goes_on() {
    let (source, sink, asker) = (Source::default(), Sink::default(), Asker::default());
    let graph = Graph::default()
        .source("file", &source)
        .work("hold", &holder(None))
        .sink("out", &sink)
        .asker("ask", &asker)
        .pipeline("main", &["file"], &["hold"], &["out", "ask"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(3)).await.unwrap();
    source.end().await;
    running.finished().await;
    assert!(running.health().ready);
    assert_eq!(asker.collect().await.map(|given| given.len()), Some(1));
    running.stop().await;
    assert_eq!((source.built(), sink.items()), (1, 3));
}
