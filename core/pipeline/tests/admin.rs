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

/// A connection that asked and reads what comes, line by line.
async fn watch(running: &Running, edge: &str) -> tokio::io::Lines<tokio::io::BufReader<TcpStream>> {
    use tokio::io::AsyncBufReadExt as _;
    let address = running.admin_address().expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET /tap/{edge} HTTP/1.0\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut lines = tokio::io::BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.expect("a header") {
        if line.is_empty() {
            break;
        }
    }
    lines
}

/// Options with which a tap writes `edge items missed`.
fn tapping() -> Options {
    Options {
        tap_line: Some(Arc::new(|tapped| {
            format!("{} {} {}", tapped.edge, tapped.items, tapped.missed)
        })),
        ..options(1)
    }
}

#[tokio::test]
async fn a_watcher_sees_what_passes_between_two_components() {
    let (source, sink, work) = (
        Source::default(),
        Sink::default(),
        tapetum_testkit::Work::pass(),
    );
    let graph = Graph::default()
        .source("in", &source)
        .work("pass", &work)
        .sink("out", &sink)
        .pipeline("main", &["in"], &["pass"], &["out"])
        .pipeline("bare", &["in"], &[], &["out"]);
    let mut spec = graph.spec();
    spec.service.admin = "127.0.0.1:0".to_owned();
    let running = Engine::start(spec, tapping())
        .await
        .expect("a port is free");
    let list = ask(&running, "GET /tap").await;
    for edge in ["main:in->pass\n", "main:pass->out\n", "bare:in->out\n"] {
        assert!(list.contains(edge), "{list}");
    }
    source.send(sample::connections(1)).await;
    let mut all = Vec::new();
    for (edge, seen) in [
        ("in-%3Epass", "main:in->pass 7 0"),
        ("main:pass-%3Eout", "main:pass->out 7 0"),
        ("in-%3Eout", "bare:in->out 7 0"),
    ] {
        all.push((watch(&running, edge).await, seen));
    }
    source.send(sample::connections(7)).await;
    for (lines, seen) in &mut all {
        let line = lines.next_line().await.expect("a line");
        assert_eq!(line.as_deref(), Some(*seen));
    }
    let missing = ask(&running, "GET /tap/in-%3Enobody").await;
    assert!(
        missing.starts_with("HTTP/1.1 404") && missing.contains("main:in->pass"),
        "{missing}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_misses_and_is_told() {
    let (source, sink) = (Source::default(), Sink::default());
    let running = start(
        &source,
        &sink,
        Options {
            // Long lines fill the socket, so that the watcher falls behind.
            tap_line: Some(Arc::new(|tapped| {
                format!("{} {}", tapped.missed, "x".repeat(1 << 20))
            })),
            ..options(1)
        },
    )
    .await;
    let mut lines = watch(&running, "in-%3Eout").await;
    for _ in 0..200 {
        source.send(sample::connections(1)).await;
    }
    let mut missed = 0;
    while missed == 0 {
        let line = lines
            .next_line()
            .await
            .expect("a line")
            .expect("it goes on");
        let said = line.split(' ').next().expect("a number");
        missed = said.parse::<u64>().expect("a number");
        source.send(sample::connections(1)).await;
    }
    assert!(missed > 0);
    drop(lines);
    // Places of watchers that left are free again.
    for _ in 0..20 {
        drop(watch(&running, "in-%3Eout").await);
    }
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        source.send(sample::connections(1)).await;
        let answer = ask(&running, "GET /tap/in-%3Enobody").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        let mut lines = watch(&running, "in-%3Eout").await;
        source.send(sample::connections(1)).await;
        if let Some(line) = lines.next_line().await.expect("a line")
            && line.contains('x')
        {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "no place is free");
    }
    assert_eq!(running.stop().await.left, vec![]);
}
