//! A sender of OTLP over gRPC.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub(crate) struct Sender(SendRequest<Bytes>);

impl Sender {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("it listens");
        Self::over(tcp).await
    }

    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, connection) = client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self(requests)
    }

    /// Sends a message of `trace`, `metrics` or `logs`; the status of gRPC.
    pub(crate) async fn send(&self, signal: &str, message: &[u8]) -> String {
        let service = match signal {
            "trace" => "trace.v1.TraceService",
            "metrics" => "metrics.v1.MetricsService",
            _ => "logs.v1.LogsService",
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "http://tapetum/opentelemetry.proto.collector.{service}/Export"
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let mut requests = self.0.clone().ready().await.expect("it is there");
        let (answer, mut body) = requests.send_request(request, false).expect("it is sent");
        let length = (message.len() as u32).to_be_bytes();
        let framed = [&[0][..], &length, message].concat();
        body.send_data(framed.into(), true).expect("it is sent");
        let (head, mut body) = answer.await.expect("an answer").into_parts();
        while let Some(piece) = body.data().await {
            let length = piece.expect("an answer").len();
            let _ = body.flow_control().release_capacity(length);
        }
        let trailers = body
            .trailers()
            .await
            .expect("an answer")
            .unwrap_or_default();
        let status = trailers
            .get("grpc-status")
            .or(head.headers.get("grpc-status"));
        let status = status.expect("a status").to_str().expect("text");
        status.to_owned()
    }
}
