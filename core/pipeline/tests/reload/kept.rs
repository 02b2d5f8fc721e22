//! What does not differ goes on: its queue, its state, its instance.

use std::time::Duration;

use tapetum_pipeline::{Answer, Engine, Kind};
use tapetum_testkit::{Graph, Sink, Source, Step, Work, options, sample};

use crate::{balanced, reload, reloads};

fn graph(source: &Source, work: &Work, sinks: &[(&str, &Sink)]) -> Graph {
    let ids: Vec<&str> = sinks.iter().map(|(id, _)| *id).collect();
    let mut graph = Graph::default().source("in", source).work("pass", work);
    for (id, sink) in sinks {
        graph = graph.sink(id, sink);
    }
    graph.pipeline("main", &["in"], &["pass"], &ids)
}

#[tokio::test(start_paused = true)]
async fn the_same_file_changes_nothing() {
    let (source, work, sink) = (Source::default(), Work::pass(), Sink::default());
    let spec = || graph(&source, &work, &[("out", &sink)]).spec();
    let mut running = Engine::start(spec(), options(1)).await.unwrap();
    source.send(sample::connections(3)).await;
    let done = reload(&mut running, spec()).await;
    assert!(!done.is_change(), "{done:?}");
    assert_eq!(done.kept, ["out", "pass of main", "in"]);
    source.send(sample::connections(4)).await;
    assert_eq!((source.built(), work.built(), sink.built()), (1, 1, 1));
    assert_eq!(
        (reloads(&running, "unchanged"), reloads(&running, "changed")),
        (1, 0)
    );
    balanced(&running.stop().await.books);
    assert_eq!(sink.items(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_queue_stays_while_its_neighbour_comes_and_goes() {
    let (source, work) = (Source::default(), Work::pass());
    let (dead, other) = (Sink::default(), Sink::default());
    dead.always(Step::Later(None));
    let alone = || graph(&source, &work, &[("dead", &dead)]).spec();
    let both = || graph(&source, &work, &[("dead", &dead), ("other", &other)]).spec();
    let mut running = Engine::start(alone(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await;
    let done = reload(&mut running, both()).await;
    assert_eq!((done.made, done.gone), (vec!["other".to_owned()], vec![]));
    source.send(sample::connections(6)).await;
    let done = reload(&mut running, alone()).await;
    assert_eq!(done.gone, ["other"]);
    source.send(sample::connections(7)).await;
    let held = |running: &tapetum_pipeline::Running| {
        let books = running.books();
        books.of(Kind::Exporter, "dead", None).unwrap().held
    };
    assert_eq!((held(&running), dead.built(), work.built()), (18, 1, 1));
    dead.always(Step::Take);
    let report = running.stop().await;
    balanced(&report.books);
    assert_eq!((dead.items(), other.items()), (18, 6));
    let gone = report.books.of(Kind::Exporter, "other", None).unwrap();
    assert_eq!((gone.taken, gone.out), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_stays_reaches_a_pipeline_that_comes() {
    let source = Source::default();
    let (first, second) = (Sink::default(), Sink::default());
    let base = || Graph::default().source("in", &source).sink("first", &first);
    let one = || base().pipeline("one", &["in"], &[], &["first"]).spec();
    let two = || {
        let base = base()
            .sink("second", &second)
            .pipeline("one", &["in"], &[], &["first"]);
        base.pipeline("two", &["in"], &[], &["second"]).spec()
    };
    let mut running = Engine::start(one(), options(1)).await.unwrap();
    assert_eq!(
        source.send(sample::connections(1)).await,
        Some(Answer::Accepted)
    );
    reload(&mut running, two()).await;
    assert_eq!(
        source.send(sample::connections(2)).await,
        Some(Answer::Accepted)
    );
    reload(&mut running, one()).await;
    source.send(sample::connections(4)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((first.items(), second.items(), source.built()), (7, 2, 1));
    balanced(&running.stop().await.books);
}
