//! The start is a transaction; the stop drains in the order of the flow and ends in time.

use std::time::Duration;

use tapetum_model::Batch;
use tapetum_pipeline::{
    Bound, Build, BuildError, Component, Engine, Flush, Full, Gives, Kind, Settings, StartError,
};
use tapetum_testkit::{Event, Graph, Sink, Source, Step, Work, options, sample};
use tokio::time::sleep;

static BROKEN: Component = Component {
    name: "broken",
    summary: "Cannot be made.",
    takes: &[],
    gives: Gives::These(&[tapetum_model::Signal::Connections]),
    options: &[],
    metrics: &[],
    example: "",
    check: |_| Vec::new(),
    bound: |_| Bound {
        user_bytes: 0,
        kernel_bytes: 0,
    },
    build: Build::Receiver(|settings, _| match settings.table().is_empty() {
        true => Err(BuildError::new("no such device: plug it in")),
        false => panic!("unplugged"),
    }),
};

#[tokio::test(start_paused = true)]
async fn nothing_runs_if_anything_cannot_be_made() {
    for (settings, said) in [
        ("", "receiver `broken`: no such device: plug it in"),
        ("x = 1", "receiver `broken`: it panicked: unplugged"),
    ] {
        let (source, sink) = (Source::default(), Sink::default());
        let graph = Graph::default()
            .source("in", &source)
            .component("broken", &BROKEN, Settings::new(settings.parse().unwrap()))
            .sink("out", &sink)
            .pipeline("main", &["in", "broken"], &[], &["out"]);
        let error = Engine::start(graph.spec(), options(1)).await.err().unwrap();
        assert_eq!(error.to_string(), said);
        assert_eq!((sink.built(), source.built()), (1, 1));
        let sent =
            tokio::time::timeout(Duration::from_secs(60), source.send(sample::connections(1)));
        assert!(sent.await.is_err(), "nobody runs to take it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_graph_and_too_large_a_budget_are_refused() {
    let (source, sink) = (Source::default(), Sink::default());
    let graph = || Graph::default().source("in", &source).sink("out", &sink);
    let wrong = graph().pipeline("main", &["im"], &[], &["out"]);
    let error = Engine::start(wrong.spec(), options(1)).await.err().unwrap();
    assert!(
        matches!(&error, StartError::Graph(problems) if problems.len() == 2),
        "{error}"
    );
    let large = graph()
        .queue(1 << 30, None)
        .pipeline("main", &["in"], &[], &["out"]);
    let error = Engine::start(large.spec(), options(1)).await.err().unwrap();
    let said = error.to_string();
    assert!(
        said.contains("lower the largest: `queue.size` of [exporters.out] 1024 MiB"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_processors_and_queues_hold() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.always(Step::Slow(Duration::from_secs(1)));
    let mut held: Vec<Batch> = Vec::new();
    let work = Work::new(move |event, out| match event {
        Event::Batch(batch, _) => held.push(batch),
        Event::Flush(Flush::Drain, _) => held.drain(..).for_each(|batch| out.send(batch)),
        Event::Flush(..) => {}
    });
    let graph = Graph::default()
        .source("in", &source)
        .work("hold", &work)
        .sink("out", &sink)
        .pipeline("main", &["in"], &["hold"], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for _ in 0..3 {
        source.send(sample::connections(5)).await.unwrap();
    }
    let report = running.stop().await;
    assert_eq!((sink.items(), report.took), (15, Duration::from_secs(3)));
    assert_eq!((report.left, report.cut_off), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_down_costs_the_deadline_and_what_is_left_is_counted() {
    let (source, dead, well) = (Source::default(), Sink::default(), Sink::default());
    dead.always(Step::Hang);
    let graph = Graph::default()
        .source("in", &source)
        .sink("dead", &dead)
        .sink("well", &well)
        .pipeline("main", &["in"], &[], &["dead", "well"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for _ in 0..3 {
        source.send(sample::connections(5)).await.unwrap();
    }
    let report = running.stop().await;
    assert!(
        (10.0..10.6).contains(&report.took.as_secs_f64()),
        "{:?}",
        report.took
    );
    assert_eq!(report.left, [("dead".to_owned(), 15)]);
    assert_eq!(well.items(), 15);
    let tally = report.books.of(Kind::Exporter, "dead", None).unwrap();
    assert_eq!((tally.dropped, tally.held), (15, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_to_try_again_tries_at_once_when_a_stop_begins() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Later(Some(Duration::from_secs(600)))]);
    let graph = Graph::default()
        .source("in", &source)
        .sink("out", &sink)
        .pipeline("main", &["in"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(sink.items(), 0);
    let report = running.stop().await;
    assert_eq!((sink.items(), report.took), (5, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_cut_off_and_costs_the_queues_nothing() {
    let (deaf, source, sink) = (Source::default(), Source::default(), Sink::default());
    sink.always(Step::Slow(Duration::from_secs(1)));
    let graph = Graph::default()
        .source("deaf", &deaf)
        .source("in", &source)
        .sink("out", &sink)
        .pipeline("main", &["deaf", "in"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    deaf.hang().await;
    for _ in 0..8 {
        source.send(sample::connections(5)).await.unwrap();
    }
    let report = running.stop().await;
    assert_eq!(report.cut_off, ["receiver `deaf`"]);
    assert_eq!((sink.items(), report.took), (40, Duration::from_secs(8)));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_waits_for_room_is_cut_off_in_time() {
    let (source, sink) = (Source::default(), Sink::of_items(1000));
    sink.always(Step::Hang);
    let graph = Graph::default()
        .source("in", &source)
        .sink("out", &sink)
        .queue(6_000, Some(Full::Block))
        .pipeline("main", &["in"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await.unwrap();
    let waits = tokio::spawn(async move { source.send(sample::connections(5)).await });
    tokio::task::yield_now().await;
    let report = running.stop().await;
    assert!(report.took < Duration::from_secs(11), "{:?}", report.took);
    assert!(waits.is_finished());
    let tally = report.books.of(Kind::Exporter, "out", None).unwrap();
    assert_eq!((tally.taken, tally.dropped, tally.held), (10, 10, 0));
}

#[tokio::test(start_paused = true)]
async fn what_stands_at_the_door_of_a_pipeline_that_is_cut_off_is_counted() {
    let (first, second, sink) = (Source::default(), Source::default(), Sink::of_items(1000));
    sink.always(Step::Hang);
    let graph = Graph::default()
        .source("first", &first)
        .source("second", &second)
        .sink("out", &sink)
        .queue(6_000, Some(Full::Block))
        .pipeline("main", &["first", "second"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    first.send(sample::connections(5)).await.unwrap();
    tokio::spawn(async move { first.send(sample::connections(5)).await });
    tokio::task::yield_now().await;
    tokio::spawn(async move { second.send(sample::connections(5)).await });
    tokio::task::yield_now().await;
    let books = running.stop().await.books;
    let taken = |id| books.of(Kind::Receiver, id, Some("main")).unwrap().taken;
    assert_eq!((taken("first"), taken("second")), (10, 5));
    let tally = books.of(Kind::Exporter, "out", None).unwrap();
    let door = books.of(Kind::Receiver, "second", Some("main")).unwrap();
    assert_eq!(tally.dropped + door.dropped, 15);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_an_exporter_that_has_nothing_to_send() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.always(Step::Panic);
    let graph = Graph::default()
        .source("in", &source)
        .sink("out", &sink)
        .pipeline("main", &["in"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for pause in [20, 20, 20, 20, 20, 20, 1] {
        source.send(sample::connections(1)).await.unwrap();
        sleep(Duration::from_secs(pause)).await;
    }
    assert!(
        !running.health().ready,
        "it is to be made anew in some seconds"
    );
    assert_eq!(running.stop().await.took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_comes_back_during_the_drain_gets_everything() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Later(None); 12]);
    let graph = Graph::default()
        .source("in", &source)
        .sink("out", &sink)
        .pipeline("main", &["in"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await.unwrap();
    while sink.tries() < 6 {
        sleep(Duration::from_millis(10)).await;
    }
    let report = running.stop().await;
    assert_eq!((sink.items(), report.left), (5, vec![]));
}
