//! One connection of HTTP/1.1: a request after the other, closed when it is idle, old, or the receiver stops.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tapetum_pipeline::Stop;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

use super::body::Incoming;
use super::config::Limits;
use super::http::Exchange;
use super::intake::Intake;
use super::listen::Speaks;
use super::stream::Stream;
use super::telemetry::TurnedAway;

/// A long body is read in steps of this.
const READ_MAX: usize = 64 << 10;
/// Header fields of a request; senders have about ten.
const FIELDS_MAX: usize = 64;

/// An answer in one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Serves until the peer goes, or is asked to.
pub(super) async fn serve(
    stream: Stream,
    intake: Arc<Intake>,
    limits: Limits,
    speaks: Speaks,
    peer: IpAddr,
    mut stop: Stop,
) {
    if !speaks.http() {
        intake.counts.turned_away(TurnedAway::Protocol);
        return;
    }
    let (busy, turned) = (AtomicBool::new(false), Notify::new());
    let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
        busy.store(true, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let answer = Exchange::new(&intake, peer).answer(&head, Incoming::H1(body));
        let answer = answer.await;
        busy.store(false, Ordering::Relaxed);
        turned.notify_one();
        Ok::<Response<Whole>, Infallible>(answer.map(|body| Whole(Some(body))))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Of a request that began, and of the first one.
        .header_read_timeout(limits.timeout)
        .max_buf_size(READ_MAX)
        .max_headers(FIELDS_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let old = limits.age.map(|age| Instant::now() + age);
    let mut idle = pin!(sleep(limits.idle));
    let mut ends: Option<Instant> = None;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(why) = ended {
                    debug!(%peer, "the connection broke: {why}");
                }
                return;
            }
            () = turned.notified() => idle.as_mut().reset(Instant::now() + limits.idle),
            () = &mut idle, if ends.is_none() && !busy.load(Ordering::Relaxed) => {
                ends = Some(Instant::now() + limits.timeout);
            }
            () = at(old), if ends.is_none() => ends = Some(Instant::now() + limits.timeout),
            () = stop.wait(), if ends.is_none() => ends = Some(Instant::now() + limits.timeout),
            () = at(ends) => return,
        }
        if ends.is_some() {
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// Waits until then; forever if there is no then.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
