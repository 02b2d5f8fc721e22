//! A reload that fails leaves everything as it was, and says why.

use std::path::PathBuf;

use tapetum_model::{Metric, PointValue};
use tapetum_pipeline::{Engine, GraphSpec, Kind, Running, StartError};
use tapetum_testkit::{Graph, Sink, Source, Work, options, sample};

use crate::{balanced, reload, reloads};

fn failed(running: &Running) -> f64 {
    let points = running.metrics();
    let point = points
        .iter()
        .find(|point| point.metric == Metric::ReloadFailed);
    match point.map(|point| &point.value) {
        Some(PointValue::Gauge(value)) => *value,
        other => panic!("{other:?}"),
    }
}

/// Tries a graph that cannot be, and sees that what ran runs; what the readiness says.
async fn tried(wrong: impl FnOnce(&mut GraphSpec)) -> (StartError, String) {
    let (source, work, sink) = (Source::default(), Work::pass(), Sink::default());
    let graph = |variant: i64| {
        let graph = Graph::default().source("in", &source).work("pass", &work);
        let graph = graph
            .sink("out", &sink)
            .vary(Kind::Exporter, "out", variant);
        graph.pipeline("main", &["in"], &["pass"], &["out"]).spec()
    };
    let mut running = Engine::start(graph(1), options(1))
        .await
        .expect("it starts");
    source.send(sample::connections(3)).await;
    let mut next = graph(2);
    wrong(&mut next);
    let why = running
        .reload(next, options(1))
        .await
        .expect_err("it is wrong");
    source.send(sample::connections(4)).await;
    assert_eq!(
        (reloads(&running, "failed"), reloads(&running, "changed")),
        (1, 0)
    );
    assert!((failed(&running) - 1.0).abs() < f64::EPSILON);
    let readiness = running.health();
    assert!(readiness.ready, "{readiness:?}");
    assert_eq!((source.built(), work.built()), (1, 1));
    // The next one that is right takes it back.
    reload(&mut running, graph(3)).await;
    assert!(failed(&running).abs() < f64::EPSILON);
    assert_eq!(running.health().text, "ready\n");
    source.send(sample::connections(5)).await;
    balanced(&running.stop().await.books);
    assert_eq!(sink.items(), 12);
    (why, readiness.text)
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_is_wrong() {
    let (why, text) = tried(|spec| spec.pipelines[0].exporters.push("nobody".to_owned())).await;
    assert!(matches!(why, StartError::Graph(_)), "{why}");
    assert!(
        text.contains("file: not taken") && text.contains("`nobody`"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_component_that_cannot_be_made() {
    let (why, text) = tried(|spec| {
        let settings = toml::from_str("script = 1000000").unwrap();
        spec.receivers[0].settings = tapetum_pipeline::Settings::new(settings);
    })
    .await;
    assert!(matches!(why, StartError::Build { .. }), "{why}");
    assert!(
        text.contains("receiver `in`: there is no such script"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_exceeded() {
    let (why, text) = tried(|spec| spec.service.memory_bytes = 1 << 20).await;
    assert!(matches!(why, StartError::Memory(_)), "{why}");
    assert!(text.contains("`service.memory` is 1MiB"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_move() {
    let (why, text) = tried(|spec| spec.service.data_dir = PathBuf::from("/elsewhere")).await;
    assert!(matches!(why, StartError::Fixed { .. }), "{why}");
    assert!(text.contains("`service.data_dir` cannot change"), "{text}");
}

#[tokio::test]
async fn an_admin_address_that_is_taken() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (source, sink) = (Source::default(), Sink::default());
    let graph = |admin: &str| {
        let graph = Graph::default().source("in", &source).sink("out", &sink);
        let mut spec = graph.pipeline("main", &["in"], &[], &["out"]).spec();
        spec.service.admin = admin.to_owned();
        spec
    };
    let mut running = Engine::start(graph("127.0.0.1:0"), options(1))
        .await
        .unwrap();
    let first = running.admin_address();
    let why = running
        .reload(graph(&address), options(1))
        .await
        .unwrap_err();
    assert!(why.to_string().contains(&address), "{why}");
    assert_eq!(running.admin_address(), first);
    drop(taken);
    reload(&mut running, graph(&address)).await;
    assert_eq!(running.admin_address().unwrap().to_string(), address);
    running.stop().await;
}
