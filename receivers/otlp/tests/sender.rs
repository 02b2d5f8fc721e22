//! A sender that speaks gRPC as one should, and as one should not.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Method, Request, StatusCode};
use tapetum_model::OtlpSignal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::world::PATIENCE;

/// A connection of HTTP/2.
pub(crate) struct Sender {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) driver: JoinHandle<Result<(), h2::Error>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) http: StatusCode,
    /// Header fields and trailers together.
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A request under way.
pub(crate) struct Open {
    pub(crate) body: h2::SendStream<Bytes>,
    answer: client::ResponseFuture,
}

impl Sender {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("it listens");
        tcp.set_nodelay(true).expect("a socket");
        Self::over(tcp).await.expect("it speaks HTTP/2")
    }

    pub(crate) async fn over<S>(stream: S) -> Result<Self, h2::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = client::handshake(stream).await?;
        Ok(Self {
            requests,
            driver: tokio::spawn(connection),
        })
    }

    /// Opens a call.
    pub(crate) async fn open(&self, path: &str, fields: &[(&str, &str)]) -> Open {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://tapetum{path}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let mut requests = self.requests.clone().ready().await.expect("it is there");
        let (answer, body) = requests.send_request(request, false).expect("it is sent");
        Open { body, answer }
    }

    /// Calls with a body in pieces.
    pub(crate) async fn call(&self, path: &str, fields: &[(&str, &str)], body: &[&[u8]]) -> Reply {
        let mut open = self.open(path, fields).await;
        for piece in body {
            send(&mut open.body, piece).await;
        }
        let _ = open.body.send_data(Bytes::new(), true);
        open.answered().await
    }

    /// Exports a message as gRPC.
    pub(crate) async fn export(&self, signal: OtlpSignal, message: &[u8]) -> Reply {
        self.call(path(signal), &GRPC, &[&framed(0, message)]).await
    }
}

pub(crate) const GRPC: [(&str, &str); 2] =
    [("content-type", "application/grpc"), ("te", "trailers")];

/// Sends as far as the window goes, and gives up where the stream was ended by the other side.
async fn send(body: &mut h2::SendStream<Bytes>, piece: &[u8]) {
    let mut rest = Bytes::copy_from_slice(piece);
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
        let Some(Ok(room)) = room else { return };
        let part = rest.split_to(room.min(rest.len()));
        if body.send_data(part, false).is_err() {
            return;
        }
    }
}

impl Open {
    /// What comes back.
    pub(crate) async fn answered(self) -> Reply {
        self.try_answered().await.expect("an answer")
    }

    pub(crate) async fn try_answered(self) -> Result<Reply, h2::Error> {
        let whole = async {
            let (head, mut body) = self.answer.await?.into_parts();
            let mut reply = Reply {
                http: head.status,
                fields: head.headers,
                body: Vec::new(),
            };
            while let Some(piece) = body.data().await {
                let piece = piece?;
                let _ = body.flow_control().release_capacity(piece.len());
                reply.body.extend_from_slice(&piece);
            }
            reply
                .fields
                .extend(body.trailers().await?.unwrap_or_default());
            Ok(reply)
        };
        tokio::time::timeout(PATIENCE, whole)
            .await
            .expect("in time")
    }
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// The status of gRPC, and what it says.
    pub(crate) fn status(&self) -> (&str, &str) {
        (self.field("grpc-status"), self.field("grpc-message"))
    }

    /// The time to come back that the details of the status say.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        tapetum_otlp::response::retry_delay(&base64(self.field("grpc-status-details-bin")))
    }
}

pub(crate) fn path(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        OtlpSignal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        OtlpSignal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// A message behind its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[flag][..], &length, message].concat()
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits: Vec<u8> = text
        .bytes()
        .flat_map(|byte| (0..6).rev().map(move |bit| digit(byte) >> bit & 1))
        .collect();
    let bytes = bits.chunks_exact(8);
    bytes
        .map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit))
        .collect()
}
