//! Where a request becomes a batch: looked through, handed over, answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tapetum_model::{Batch, Loss, Origin, Otlp, OtlpSignal, Payload, Window};
use tapetum_pipeline::{Answer, Clock, Context, Outlet, Seldom};
use tracing::warn;

use super::budget::{Budget, Share};
use super::config::{Config, REQUESTS_MAX, WINDOWS_BYTES};
use super::refusal::{Refusal, Why};
use super::telemetry::Counts;

/// What all connections share.
pub(super) struct Intake {
    out: Outlet,
    clock: Arc<dyn Clock>,
    pub(super) counts: Counts,
    /// Bodies that are being received.
    pub(super) bodies: Budget,
    /// Windows of HTTP/2 beyond the least.
    pub(super) windows: Budget,
    /// Requests at once.
    requests: Budget,
    pub(super) message_max: u64,
    pub(super) timeout: Duration,
    malformed: Seldom,
}

impl Intake {
    pub(super) fn new(config: &Config, context: &Context, out: Outlet) -> Self {
        Self {
            out,
            clock: Arc::clone(&context.clock),
            counts: Counts::new(&context.telemetry),
            bodies: Budget::new(config.buffer.0),
            windows: Budget::new(WINDOWS_BYTES),
            requests: Budget::new(REQUESTS_MAX as u64),
            message_max: config.max_message.0,
            timeout: config.timeout.0,
            malformed: Seldom::default(),
        }
    }

    /// A place for a request whose body nobody has read yet, if it has any chance.
    pub(super) fn admit(&self) -> Result<Share, Refusal> {
        if let Some(after) = self.out.refuses() {
            let message = format!("memory is short: come back in {after:?}");
            return Err(Refusal::new(Why::Busy(after), message));
        }
        let mut place = self.requests.share();
        match place.take(1) {
            true => Ok(place),
            false => Err(Refusal::crowded()),
        }
    }

    /// Takes a request: done when every exporter's queue has it.
    pub(super) async fn take(
        &self,
        signal: OtlpSignal,
        request: Bytes,
        peer: IpAddr,
    ) -> Result<(), Refusal> {
        let items = tapetum_otlp::scan(signal, &request).map_err(|malformed| {
            if let Some(left_out) = self.malformed.now() {
                warn!(%peer, left_out, "a request is refused: {malformed}");
            }
            Refusal::new(Why::Malformed, malformed.to_string())
        })?;
        if items == 0 {
            return Ok(());
        }
        let now = self.clock.now().unix;
        let batch = Batch {
            payload: Payload::Otlp(Otlp {
                signal,
                items,
                bytes: request.into(),
                peer: Some(peer),
            }),
            window: Window {
                start: now,
                end: now,
            },
            loss: Loss::default(),
            origin: Origin::Peer,
        };
        match self.out.send(batch).await {
            Answer::Accepted => Ok(()),
            Answer::Refused { after } => {
                let message = format!("a queue is full: come back in {after:?}");
                Err(Refusal::new(Why::Busy(after), message))
            }
        }
    }
}
