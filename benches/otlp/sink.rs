//! A backend that says yes to everything and counts what it got.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderValue, Request, Response};
use tapetum_model::OtlpSignal;
use tokio::net::{TcpListener, TcpStream};

use crate::grpc;

/// An empty message: nothing was rejected.
const YES: &[u8] = &[0; 5];
/// No message is longer.
const MESSAGE_MAX: usize = 64 << 20;

/// What came.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) items: AtomicU64,
    pub(crate) requests: AtomicU64,
}

/// Listens on a free port and serves until the runtime ends.
pub(crate) async fn start(signal: OtlpSignal) -> Result<(SocketAddr, Arc<Received>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, received) = (listener.local_addr()?, Arc::new(Received::default()));
    let counted = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, signal, Arc::clone(&counted)));
        }
    });
    Ok((address, received))
}

async fn connection(stream: TcpStream, signal: OtlpSignal, received: Arc<Received>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = h2::server::Builder::new()
        .initial_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .max_frame_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    while let Some(request) = connection.accept().await {
        let (request, answer) = request?;
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            if let Err(why) = take(request, answer, signal, &received).await {
                eprintln!("the backend failed: {why:#}");
            }
        });
    }
    Ok(())
}

async fn take(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    signal: OtlpSignal,
    received: &Received,
) -> Result<()> {
    let encoding = request.headers().get("grpc-encoding").cloned();
    let mut body = request.into_body();
    let mut whole = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        whole.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    let (prefix, message) = whole.split_first_chunk::<5>().context("no message")?;
    let message = match (
        prefix[0],
        encoding.as_ref().and_then(|name| name.to_str().ok()),
    ) {
        (0, _) => message.to_vec(),
        (_, Some("zstd")) => zstd::bulk::decompress(message, MESSAGE_MAX)?,
        (_, other) => bail!("a message came as {other:?}"),
    };
    let items = tapetum_otlp::scan(signal, &message)?;
    received.items.fetch_add(items, Ordering::Relaxed);
    received.requests.fetch_add(1, Ordering::Relaxed);
    let mut head = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert("content-type", kind);
    let mut stream = answer.send_response(head, false)?;
    stream.send_data(Bytes::from_static(YES), false)?;
    stream.send_trailers(grpc::ok())?;
    Ok(())
}
