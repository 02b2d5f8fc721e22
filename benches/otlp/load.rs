//! Senders that wait for each answer: as fast as they are answered, and no faster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::grpc;
use crate::payload::Payload;

const CONNECTIONS: usize = 8;
const IN_FLIGHT: usize = 4;
/// What is refused comes again after so long.
const REFUSED: Duration = Duration::from_millis(20);

/// What the senders have done so far.
#[derive(Default)]
pub(crate) struct Sent {
    /// Items that were answered with a yes.
    pub(crate) acknowledged: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) is_over: AtomicBool,
}

/// Sends until `sent` is over; all that was begun is answered when this returns.
pub(crate) async fn send(to: SocketAddr, payload: Payload, sent: Arc<Sent>) -> Result<()> {
    let message = framed(&payload.bytes);
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = h2::client::Builder::new()
            .initial_connection_window_size(1 << 20)
            .handshake(stream)
            .await?;
        tokio::spawn(connection);
        for _ in 0..IN_FLIGHT {
            let one = One {
                requests: requests.clone(),
                payload: payload.clone(),
                message: message.clone(),
                uri: format!("http://{to}{}", grpc::path(payload.signal)),
                sent: Arc::clone(&sent),
            };
            senders.spawn(one.run());
        }
    }
    while let Some(ended) = senders.join_next().await {
        ended?.context("a sender failed")?;
    }
    Ok(())
}

/// One request after the other.
struct One {
    requests: SendRequest<Bytes>,
    payload: Payload,
    message: Bytes,
    uri: String,
    sent: Arc<Sent>,
}

impl One {
    async fn run(self) -> Result<()> {
        while !self.sent.is_over.load(Ordering::Relaxed) {
            if self.ask().await? {
                let items = self.payload.items;
                self.sent.acknowledged.fetch_add(items, Ordering::Relaxed);
            } else {
                self.sent.refused.fetch_add(1, Ordering::Relaxed);
                sleep(REFUSED).await;
            }
        }
        Ok(())
    }

    async fn ask(&self) -> Result<bool> {
        let request = Request::post(&self.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut body) = requests.send_request(request, false)?;
        body.send_data(self.message.clone(), true)?;
        let (head, mut body) = answer.await?.into_parts();
        if head.status != http::StatusCode::OK {
            bail!("HTTP status {}", head.status);
        }
        while let Some(data) = body.data().await {
            let length = data?.len();
            body.flow_control().release_capacity(length)?;
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        Ok(grpc::is_ok(&trailers) || grpc::is_ok(&head.headers))
    }
}

fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed.freeze()
}
