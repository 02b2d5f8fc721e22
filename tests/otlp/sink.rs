//! A server of OTLP over gRPC that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

/// A message, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// `trace`, `metrics` or `logs`.
    pub(crate) signal: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    took: Arc<Mutex<Vec<Message>>>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            took: Arc::default(),
        };
        sink.listen(listener);
        sink
    }

    /// The same sink, at another address too.
    pub(crate) async fn also_at(&self, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("it is free");
        self.listen(listener);
        self.clone()
    }

    fn listen(&self, listener: TcpListener) {
        let serving = self.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(tcp));
            }
        });
    }

    /// What it was sent so far.
    pub(crate) fn took(&self) -> Vec<Message> {
        self.took.lock().expect("no panic").clone()
    }

    async fn serve(self, tcp: TcpStream) {
        let Ok(mut connection) = server::handshake(tcp).await else {
            return;
        };
        while let Some(Ok((request, answer))) = connection.accept().await {
            tokio::spawn(self.clone().take(request, answer));
        }
    }

    async fn take(self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.len());
            bytes.extend_from_slice(&piece);
        }
        let signal = path.strip_prefix("/opentelemetry.proto.collector.");
        let signal = signal.and_then(|rest| rest.split('.').next());
        let signal = signal.expect("a call of OTLP").to_owned();
        assert_eq!(
            bytes.first(),
            Some(&0),
            "the test's file says no compression"
        );
        let bytes = bytes.split_off(5);
        self.took
            .lock()
            .expect("no panic")
            .push(Message { signal, bytes });
        let head = Response::builder().header("content-type", "application/grpc");
        let Ok(mut stream) = answer.send_response(head.body(()).expect("a head"), false) else {
            return;
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", 0.into());
        if stream.send_data(Bytes::from_static(&[0; 5]), false).is_ok() {
            let _ = stream.send_trailers(trailers);
        }
    }
}
