//! Senders as there are in the world: each sends, waits for the answer, and comes back with what was refused.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::JoinHandle;

use crate::sender::Sender;
use crate::until;

/// A load that goes on until it is ended.
pub(crate) struct Load {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    next: AtomicU64,
    /// A status that no sender should see.
    wrong: Mutex<Option<String>>,
    acknowledged: Mutex<Vec<u64>>,
}

const SENDERS: usize = 4;
const SPANS: u64 = 20;

impl Load {
    pub(crate) fn start(to: SocketAddr) -> Self {
        let shared = Arc::<Shared>::default();
        let senders = (0..SENDERS).map(|_| tokio::spawn(send(to, Arc::clone(&shared))));
        Self {
            senders: senders.collect(),
            shared,
        }
    }

    /// The spans that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> Vec<u64> {
        self.shared.acknowledged.lock().expect("no panic").clone()
    }

    /// Waits until so many more were acknowledged.
    pub(crate) async fn more(&self, spans: usize) {
        let goal = self.acknowledged().len() + spans;
        until("the load gets on", || {
            (self.acknowledged().len() >= goal).then_some(())
        })
        .await;
    }

    /// Ends it; what was acknowledged in all.
    pub(crate) async fn end(self) -> Vec<u64> {
        self.shared.ends.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("a sender ends");
        }
        let acknowledged = self.shared.acknowledged.lock().expect("no panic").clone();
        assert!(!acknowledged.is_empty());
        assert_eq!(*self.shared.wrong.lock().expect("no panic"), None);
        acknowledged
    }
}

/// One sender. Whatever happens to its connection, it makes another.
async fn send(to: SocketAddr, shared: Arc<Shared>) {
    while !shared.ends.load(Ordering::Relaxed) {
        // A connection that breaks ends the task by a panic in the middle of a call: what it sent is not acknowledged.
        let _ = tokio::spawn(send_over_one(to, Arc::clone(&shared))).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn send_over_one(to: SocketAddr, shared: Arc<Shared>) {
    if tokio::net::TcpStream::connect(to).await.is_err() {
        return;
    }
    let sender = Sender::connect(to).await;
    while !shared.ends.load(Ordering::Relaxed) {
        let first = shared.next.fetch_add(SPANS, Ordering::Relaxed);
        let ids: Vec<u64> = (first..first + SPANS).collect();
        let message = message(&ids);
        loop {
            match &*sender.send("trace", &message).await {
                "0" => {
                    shared.acknowledged.lock().expect("no panic").extend(ids);
                    break;
                }
                "8" | "14" if !shared.ends.load(Ordering::Relaxed) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                "8" | "14" => return,
                other => {
                    let mut wrong = shared.wrong.lock().expect("no panic");
                    wrong.get_or_insert(other.to_owned());
                    return;
                }
            }
        }
    }
}

fn message(ids: &[u64]) -> Vec<u8> {
    let span = |id: &u64| Span {
        trace_id: [id.to_be_bytes(); 2].concat(),
        span_id: id.to_be_bytes().to_vec(),
        name: format!("GET /things/{id} of a service with a name as long as names are"),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: ids.iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}
