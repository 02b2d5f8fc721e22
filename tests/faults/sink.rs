//! A backend that counts what it takes, and fails when it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::until;

/// What it does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    /// Says that it is not available.
    Fails,
    /// Says nothing until it is well again.
    Hangs,
}

#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    mood: Arc<watch::Sender<Mood>>,
    /// How often each span came.
    spans: Arc<Mutex<BTreeMap<u64, u32>>>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            mood: Arc::new(watch::Sender::new(Mood::Takes)),
            spans: Arc::default(),
        };
        let serving = sink.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(tcp));
            }
        });
        sink
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many of these came.
    pub(crate) fn has(&self, ids: &[u64]) -> usize {
        let spans = self.spans.lock().expect("no panic");
        ids.iter().filter(|id| spans.contains_key(id)).count()
    }

    /// Waits until all of these came.
    pub(crate) async fn all(&self, ids: &[u64]) {
        // Looked at one by one only when there are enough of them: the backend has other things to do.
        let enough = || self.spans.lock().expect("no panic").len() >= ids.len();
        let all = || (enough() && self.has(ids) == ids.len()).then_some(());
        until("all that was acknowledged is there", all).await;
    }

    /// How many spans came more than once.
    pub(crate) fn twice(&self) -> usize {
        let spans = self.spans.lock().expect("no panic");
        spans.values().filter(|times| **times > 1).count()
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
        let encoding = request.headers().get("grpc-encoding").cloned();
        let mut body = request.into_body();
        let mut bytes = Vec::new();
        while let Some(Ok(piece)) = body.data().await {
            let _ = body.flow_control().release_capacity(piece.len());
            bytes.extend_from_slice(&piece);
        }
        let mut mood = self.mood.subscribe();
        let _ = mood.wait_for(|mood| *mood != Mood::Hangs).await;
        let status = match *mood.borrow() {
            Mood::Fails => 14,
            _ => 0,
        };
        if status == 0 {
            let message = match bytes[0] {
                0 => bytes.split_off(5),
                _ => unpacked(&bytes[5..], encoding),
            };
            let message = ExportTraceServiceRequest::decode(&message[..]).expect("spans");
            let scopes = message
                .resource_spans
                .into_iter()
                .flat_map(|one| one.scope_spans);
            let mut taken = self.spans.lock().expect("no panic");
            for span in scopes.flat_map(|one| one.spans) {
                let id = u64::from_be_bytes(span.span_id[..].try_into().expect("8 bytes"));
                *taken.entry(id).or_default() += 1;
            }
        }
        let head = Response::builder().header("content-type", "application/grpc");
        let Ok(mut stream) = answer.send_response(head.body(()).expect("a head"), false) else {
            return;
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.into());
        if stream.send_data(Bytes::from_static(&[0; 5]), false).is_ok() {
            let _ = stream.send_trailers(trailers);
        }
    }
}

/// What ships sends gzip.
fn unpacked(bytes: &[u8], encoding: Option<http::HeaderValue>) -> Vec<u8> {
    use std::io::Read as _;
    assert_eq!(encoding.expect("an encoding"), "gzip");
    let mut message = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(bytes);
    reader.read_to_end(&mut message).expect("gzip");
    message
}
