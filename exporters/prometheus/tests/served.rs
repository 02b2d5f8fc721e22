//! The server as a scraper meets it: formats, errors, and clients that say nothing.

use std::io::Read as _;
use std::net::SocketAddr;

use tapetum_model::{Batch, Loss, Origin, Payload, Window};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// A running server that shows `everything`, and the switch that stops it.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    task: tokio::task::JoinHandle<Result<(), RunError>>,
    switch: tokio::sync::watch::Sender<bool>,
}

pub(super) fn run() -> Running {
    let config = Config {
        listen: "127.0.0.1:0".to_owned(),
        created: false,
    };
    let mut server = Prometheus::new(&config, &context("prometheus")).unwrap();
    server.agent = agent();
    let address = server.listener.address().unwrap();
    let (switch, stop) = Stop::channel();
    let scrape = Scrape::to(|| {
        vec![Batch {
            payload: Payload::Points(everything()),
            window: Window::default(),
            loss: Loss::default(),
            origin: Origin::Flush,
        }]
    });
    let task = tokio::spawn(Box::new(server).run(scrape, stop));
    Running {
        address,
        task,
        switch,
    }
}

impl Running {
    /// Sends a request as it stands and gives the head and the body of the response.
    async fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let end = response
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let body = response.split_off(end + 4);
        (String::from_utf8(response).unwrap().to_lowercase(), body)
    }

    pub(super) async fn stop(self) {
        self.switch.send(true).unwrap();
        self.task.await.unwrap().unwrap();
        assert!(TcpStream::connect(self.address).await.is_err());
    }
}

#[tokio::test]
async fn a_scrape_gets_what_it_asked_for() {
    let server = run();
    for (accept, format) in [
        (TEXT, Format::Text),
        (OPEN_METRICS, Format::OpenMetrics1),
        (PROTOBUF, Format::Protobuf),
    ] {
        let request = format!("GET /metrics HTTP/1.0\r\nAccept: {accept}\r\n\r\n");
        let (head, body) = server.ask(&request).await;
        assert!(head.starts_with("http/1.0 200 ok"), "{head}");
        let content_type = format.content_type().to_lowercase();
        assert!(
            head.contains(&format!("content-type: {content_type}\r\n")),
            "{head}"
        );
        assert_eq!(body, render(everything(), &agent(), accept, false).1);
    }
    server.stop().await;
}

#[tokio::test]
async fn gzip_is_the_same_page() {
    let server = run();
    let request = "GET /metrics HTTP/1.0\r\nAccept-Encoding: deflate, gzip\r\n\r\n";
    let (head, body) = server.ask(request).await;
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    let mut page = Vec::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_end(&mut page)
        .unwrap();
    assert_eq!(page, render(everything(), &agent(), TEXT, false).1);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let server = run();
    let (head, body) = server.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert!(head.starts_with("http/1.0 404"), "{head}");
    assert_eq!(body, b"metrics are at /metrics\n");
    let (head, _) = server.ask("POST /metrics HTTP/1.0\r\n\r\n").await;
    assert!(head.starts_with("http/1.0 405"), "{head}");
    assert!(head.contains("allow: get, head\r\n"), "{head}");
    let (head, body) = server.ask("HEAD /metrics HTTP/1.0\r\n\r\n").await;
    assert!(
        head.starts_with("http/1.0 200") && body.is_empty(),
        "{head}"
    );
    server.stop().await;
}

/// The clock stands still and jumps from timer to timer: silence costs the test nothing.
#[tokio::test(start_paused = true)]
async fn silent_clients_are_sent_away_and_others_come_in() {
    let server = run();
    let mut silent = Vec::new();
    for _ in 0..serve::CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\n")
            .await
            .unwrap();
        silent.push(stream);
    }
    let (head, _) = server.ask("GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(head.starts_with("http/1.0 200"), "{head}");
    for mut stream in silent {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let said = String::from_utf8_lossy(&rest).to_lowercase();
        assert!(
            said.is_empty() || said.starts_with("http/1.1 408"),
            "{said}"
        );
    }
    server.stop().await;
}
