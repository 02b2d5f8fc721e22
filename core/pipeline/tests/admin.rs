//! The admin server's pages, asked over a real socket.

use std::sync::Arc;

use tapetum_model::{Batch, Metric, Payload, Point};
use tapetum_pipeline::{Engine, Options, Running, StartError};
use tapetum_testkit::{Graph, Sink, Source, options, sample};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Renders a line a point: what the formats are is not the engine's.
fn render(batches: &[Batch], accept: Option<&str>) -> (String, Vec<u8>) {
    let Payload::Points(points) = &batches[0].payload else {
        panic!("points")
    };
    let lines = points
        .iter()
        .map(|point| format!("{:?} {:?}\n", point.metric, point.value));
    let text: String = lines.collect();
    (accept.unwrap_or("text/none").to_owned(), text.into_bytes())
}

async fn start(source: &Source, sink: &Sink, options: Options) -> Running {
    let graph = Graph::default()
        .source("in", source)
        .sink("out", sink)
        .pipeline("main", &["in"], &[], &["out"]);
    let mut spec = graph.spec();
    spec.service.admin = "127.0.0.1:0".to_owned();
    Engine::start(spec, options).await.expect("a port is free")
}

async fn ask(running: &Running, request: &str) -> String {
    let request =
        format!("{request} HTTP/1.1\r\nHost: x\r\nAccept: text/x\r\nConnection: close\r\n\r\n");
    let answer = async {
        let address = running
            .admin_address()
            .ok_or(std::io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    answer.await.expect("the admin server answers")
}

#[tokio::test]
async fn alive_ready_and_not_ready() {
    let (source, sink) = (Source::default(), Sink::default());
    let running = start(&source, &sink, options(1)).await;
    let answer = ask(&running, "GET /healthz").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("alive\n"),
        "{answer}"
    );
    let answer = ask(&running, "GET /readyz").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\nready\n"),
        "{answer}"
    );
    source.panic().await;
    while running.health().ready {
        tokio::task::yield_now().await;
    }
    let answer = ask(&running, "GET /readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("receiver `in`: not ready: failed"),
        "{answer}"
    );
    assert!(
        ask(&running, "GET /healthz")
            .await
            .starts_with("HTTP/1.1 200")
    );
    for (request, status) in [
        ("GET /", "404"),
        ("POST /readyz", "405"),
        ("GET /metrics", "404"),
    ] {
        let answer = ask(&running, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
    }
}

#[tokio::test]
async fn metrics_are_rendered_by_what_was_lent() {
    let (source, sink) = (Source::default(), Sink::default());
    let options = Options {
        render: Some(Arc::new(render)),
        ..options(1)
    };
    let running = start(&source, &sink, options).await;
    source.send(sample::connections(5)).await.unwrap();
    while sink.items() == 0 {
        tokio::task::yield_now().await;
    }
    let answer = ask(&running, "GET /metrics").await;
    assert!(answer.contains("content-type: text/x\r\n"), "{answer}");
    for line in [
        "RecordsIn Sum { cumulative: 5, delta: 0 }",
        "RecordsOut Sum { cumulative: 5, delta: 0 }",
        "QueueCapacity Gauge(1048576.0)",
        "BuildInfo Gauge(1.0)",
        "ProcessMemory Gauge(",
        "WindowEnd Gauge(1.767",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    let metrics = running.metrics();
    let requests: Vec<_> = metrics
        .iter()
        .filter(|point| point.metric == Metric::ExportRequests)
        .collect();
    assert_eq!(requests.len(), 4, "zero is said, not implied");
    let lost = |point: &&Point| point.metric == Metric::RecordsLost;
    assert_eq!(metrics.iter().filter(lost).count(), 12);
}

#[tokio::test]
async fn an_address_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (source, sink) = (Source::default(), Sink::default());
    let graph = Graph::default()
        .source("in", &source)
        .sink("out", &sink)
        .pipeline("main", &["in"], &[], &["out"]);
    let mut spec = graph.spec();
    spec.service.admin = taken.local_addr().unwrap().to_string();
    let error = Engine::start(spec, options(1)).await.err().unwrap();
    assert!(matches!(error, StartError::Admin { .. }), "{error}");
    assert_eq!(source.built(), 0, "nothing is made before");
}
