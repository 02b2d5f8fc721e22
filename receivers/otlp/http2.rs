//! One connection of HTTP/2: requests at once up to a limit, a window out of what there is for all, an end in
//! order when it is idle, old, or the receiver stops.

use std::future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::RecvStream;
use h2::server::{self, SendResponse};
use http::Request;
use tapetum_pipeline::Stop;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::body::Incoming;
use super::budget::Share;
use super::config::{HEADER_MAX, Limits, WINDOW_MIN};
use super::grpc;
use super::http::Exchange;
use super::intake::Intake;
use super::listen::Speaks;
use super::stream::Stream;
use super::telemetry::TurnedAway;

/// See the module.
pub(super) struct Connection {
    intake: Arc<Intake>,
    limits: Limits,
    speaks: Speaks,
    peer: IpAddr,
    /// Spreads what would otherwise happen to all at once.
    number: u32,
}

/// A sender that may, puts a whole message into one frame: then nothing is copied.
const FRAME_MAX: u32 = 1 << 20;
/// More than this is under way on no connection, whatever its delay.
const WINDOW_MAX: u64 = 4 << 20;
/// Senders that open streams only to reset them are cut off after so many.
const RESETS_MAX: usize = 64;
/// An answer is some bytes.
const ANSWERS_MAX: usize = 64 << 10;

impl Connection {
    pub(super) fn new(
        intake: Arc<Intake>,
        limits: Limits,
        speaks: Speaks,
        peer: IpAddr,
        number: u32,
    ) -> Self {
        Self {
            intake,
            limits,
            speaks,
            peer,
            number,
        }
    }

    /// Serves until the peer goes, or is asked to.
    pub(super) async fn serve(self, stream: Stream, mut stop: Stop) {
        let (window, _window) = self.window();
        let handshake = self.builder(window).handshake::<_, Bytes>(stream);
        let mut connection = match timeout(self.limits.timeout, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(why)) => {
                debug!(peer = %self.peer, "does not speak HTTP/2: {why}");
                return self.intake.counts.turned_away(TurnedAway::Protocol);
            }
            Err(_) => return self.intake.counts.turned_away(TurnedAway::Protocol),
        };
        let mut under_way = FuturesUnordered::new();
        let old = self.old_at();
        let mut last = Instant::now();
        let mut ends: Option<Instant> = None;
        loop {
            let idle = under_way.is_empty().then(|| last + self.limits.idle);
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, answer))) => under_way.push(self.answer(request, answer)),
                    Some(Err(why)) => {
                        debug!(peer = %self.peer, "the connection broke: {why}");
                        break;
                    }
                    None => break,
                },
                Some(()) = under_way.next() => last = Instant::now(),
                () = stop.wait(), if ends.is_none() => ends = Some(self.end(&mut connection)),
                () = at(idle), if ends.is_none() => ends = Some(self.end(&mut connection)),
                () = at(old), if ends.is_none() => ends = Some(self.end(&mut connection)),
                () = at(ends) => break,
            }
        }
        // A peer that is gone does not hear it, but what is under way is handed over all the same.
        while under_way.next().await.is_some() {}
    }

    fn builder(&self, window: u32) -> server::Builder {
        let mut builder = server::Builder::new();
        builder
            .max_frame_size(FRAME_MAX)
            .initial_window_size(window)
            .initial_connection_window_size(window)
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(HEADER_MAX)
            .max_concurrent_reset_streams(RESETS_MAX)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_local_error_reset_streams(Some(16 * RESETS_MAX))
            .reset_stream_duration(Duration::from_secs(1))
            .max_send_buffer_size(ANSWERS_MAX);
        builder
    }

    /// How much may come in unasked: the first connections get much, all get the least.
    fn window(&self) -> (u32, Share) {
        let windows = &self.intake.windows;
        let mut share = windows.share();
        let most = WINDOW_MAX - u64::from(WINDOW_MIN);
        share.take((windows.left() / 4).min(most));
        let window = u64::from(WINDOW_MIN) + share.bytes();
        (u32::try_from(window).unwrap_or(WINDOW_MIN), share)
    }

    /// When it is old: some time around `age`, so that not all of a burst come back together.
    fn old_at(&self) -> Option<Instant> {
        let spread = f64::from(self.number % 16) / 16.0;
        let age = self.limits.age?.mul_f64(0.9 + 0.2 * spread);
        Some(Instant::now() + age)
    }

    /// Asks the peer to open no more streams; when it has to be done.
    fn end(&self, connection: &mut server::Connection<Stream, Bytes>) -> Instant {
        connection.graceful_shutdown();
        Instant::now() + self.limits.timeout
    }

    async fn answer(&self, request: Request<RecvStream>, mut answer: SendResponse<Bytes>) {
        if self.speaks.grpc() && grpc::is_grpc(&request) {
            grpc::Call::new(&self.intake, self.peer)
                .answer(request, answer)
                .await;
        } else if self.speaks.http() {
            let (head, body) = request.into_parts();
            let exchange = Exchange::new(&self.intake, self.peer);
            let response = exchange.answer(&head, Incoming::H2(body)).await;
            let (head, body) = response.into_parts();
            // Failing to answer means that the sender is gone.
            let head = http::Response::from_parts(head, ());
            if let Ok(mut stream) = answer.send_response(head, body.is_empty())
                && !body.is_empty()
            {
                let _ = stream.send_data(body, true);
            }
        } else {
            // As gRPC says it to who does not speak it.
            let mut head = http::Response::new(());
            *head.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let _ = answer.send_response(head, true);
        }
    }
}

/// Waits until then; forever if there is no then.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => future::pending().await,
    }
}
