//! Each answer that an HTTP server can give, from a real one.

use std::collections::VecDeque;

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use tapetum_model::{Pieces, Signal};
use tapetum_pipeline::{Encoded, Export, Outcome};
use tokio::net::TcpListener;

use super::super::tests::{delivered, exporter};
use super::body::Outgoing;

/// An answer: status, fields, body. None of them: the connection is closed.
type Reply = Option<(u16, Vec<(&'static str, &'static str)>, Vec<u8>)>;

/// A request as it came.
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    connection: usize,
}

#[derive(Clone, Default)]
struct Server {
    endpoint: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// After its script it answers "yes".
    async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            endpoint: format!("http://{}/otlp", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            seen: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let serving = serving.clone();
                let service =
                    service_fn(move |request| serving.clone().handle(request, connection));
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        server
    }

    async fn handle(
        self,
        request: Request<Incoming>,
        connection: usize,
    ) -> Result<Response<Outgoing>, std::io::Error> {
        let (head, mut body) = request.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
        {
            bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        let length: usize = head.headers["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(bytes.len(), length);
        let mut message = Vec::new();
        match head
            .headers
            .get("content-encoding")
            .map(|name| name.to_str().unwrap())
        {
            Some("gzip") => {
                let mut decoder = flate2::read::GzDecoder::new(&*bytes);
                decoder.read_to_end(&mut message).unwrap();
            }
            Some("zstd") => message = zstd::bulk::decompress(&bytes, 64 << 20).unwrap(),
            _ => message = bytes,
        }
        self.seen.lock().unwrap().push(Seen {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body: message,
            connection,
        });
        let reply = self.script.lock().unwrap().pop_front();
        let yes = Some((
            200,
            vec![("content-type", "application/x-protobuf")],
            Vec::new(),
        ));
        let Some((status, fields, body)) = reply.unwrap_or(yes) else {
            return Err(std::io::Error::other("the script says so"));
        };
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(name, value);
        }
        Ok(response.body(Outgoing::new(body.into())).unwrap())
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn exporter(&self, more: &str) -> Box<dyn Export> {
        exporter(&self.endpoint, &format!("protocol = \"http\"\n{more}"))
    }
}

fn message(signal: Signal) -> Encoded {
    let mut bytes = Pieces::from(vec![7; 100_000]);
    bytes.push(vec![8; 30_000].into());
    Encoded {
        signal,
        items: 3,
        bytes,
    }
}

async fn one(reply: Reply) -> (Outcome, usize) {
    let server = Server::start([reply]).await;
    let outcome = server.exporter("").export(message(Signal::Logs)).await;
    (outcome, server.seen().len())
}

#[tokio::test]
async fn each_signal_goes_to_its_path_as_it_is_over_one_connection() {
    let server = Server::start([]).await;
    for compression in ["none", "gzip", "zstd"] {
        let mut exporter = server.exporter(&format!(
            "compression = \"{compression}\"\nheaders = {{ authorization = \"Bearer hush\" }}"
        ));
        let signals = [Signal::Traces, Signal::Metrics, Signal::Logs];
        for signal in signals {
            assert_eq!(exporter.export(message(signal)).await, delivered());
        }
        let seen = server.seen();
        let paths: Vec<_> = seen.iter().map(|request| &*request.path).collect();
        assert_eq!(
            paths,
            ["/otlp/v1/traces", "/otlp/v1/metrics", "/otlp/v1/logs"]
        );
        for request in &seen {
            assert_eq!(request.connection, seen[0].connection, "it is kept");
            assert_eq!(request.body, message(Signal::Logs).bytes.contiguous());
            let header = |name| request.headers[name].to_str().unwrap();
            assert_eq!(header("content-type"), "application/x-protobuf");
            assert_eq!(header("user-agent"), "tapetum/0.0.0");
            assert_eq!(header("authorization"), "Bearer hush");
            assert!(server.endpoint.contains(header("host")));
        }
    }
}

#[tokio::test]
async fn only_what_otlp_calls_retryable_is_retried() {
    for status in [
        400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504, 505,
    ] {
        let (outcome, requests) = one(Some((status, Vec::new(), b"no room".to_vec()))).await;
        assert_eq!(requests, 1);
        let is_retryable = [429, 502, 503, 504].contains(&status);
        match &outcome {
            Outcome::Retryable {
                after: None,
                message,
            } => {
                assert!(is_retryable, "{status}");
                assert_eq!(
                    &**message,
                    format!("the server answers HTTP status {status}: no room")
                );
            }
            Outcome::Permanent { message } => {
                assert!(!is_retryable, "{status}");
                assert_eq!(
                    &**message,
                    format!("the server answers HTTP status {status}: no room")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_says_when_to_come_back_and_why() {
    // google.rpc.Status { message: "too much" }
    let said = [&[0x08, 8, 0x12, 8][..], b"too much"].concat();
    let fields = vec![
        ("retry-after", "7"),
        ("content-type", "application/x-protobuf"),
    ];
    let (outcome, _) = one(Some((429, fields, said))).await;
    assert_eq!(
        outcome,
        Outcome::Retryable {
            after: Some(Duration::from_secs(7)),
            message: "the server answers HTTP status 429: too much".into()
        }
    );
}

#[tokio::test]
async fn what_is_refused_of_a_message_is_counted() {
    let response = ExportLogsServiceResponse {
        partial_success: Some(ExportLogsPartialSuccess {
            rejected_log_records: 2,
            error_message: "too old".to_owned(),
        }),
    };
    let kind = vec![("content-type", "application/x-protobuf")];
    let (outcome, _) = one(Some((200, kind, response.encode_to_vec()))).await;
    let rejected = Outcome::Ok {
        rejected: 2,
        message: Some("too old".into()),
    };
    assert_eq!(outcome, rejected);
    let (outcome, _) = one(Some((202, Vec::new(), b"<html>".to_vec()))).await;
    assert_eq!(outcome, delivered(), "what is no protobuf says nothing");
}

#[tokio::test]
async fn a_refused_compression_is_replaced_and_remembered() {
    for (status, body) in [(415, ""), (400, "unsupported Content-Encoding: zstd")] {
        let server = Server::start([Some((status, Vec::new(), body.into()))]).await;
        let mut exporter = server.exporter("compression = \"zstd\"");
        for _ in 0..2 {
            assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
        }
        let seen = server.seen();
        let encodings: Vec<_> = seen
            .iter()
            .map(|request| &request.headers["content-encoding"])
            .collect();
        assert_eq!(encodings, ["zstd", "gzip", "gzip"]);
    }
}

#[tokio::test]
async fn a_connection_that_broke_is_worth_another_try() {
    let server = Server::start([None]).await;
    let mut exporter = server.exporter("");
    let outcome = exporter.export(message(Signal::Traces)).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("broke")),
        "{outcome:?}"
    );
    assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_costs_nothing() {
    let close = || Some((200, vec![("connection", "close")], Vec::new()));
    let server = Server::start([close(), close()]).await;
    let mut exporter = server.exporter("");
    for _ in 0..3 {
        assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    }
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let (outcome, _) = one(Some((200, Vec::new(), vec![b'x'; 1 << 20]))).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("too long")),
        "{outcome:?}"
    );
}
