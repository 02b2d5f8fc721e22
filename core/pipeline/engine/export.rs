//! The task of one exporter that is sent to: takes from its queue, sends, retries, counts.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapetum_model::{Attr, Metric};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::ward::{Maker, Ward};
use crate::caught::{caught, caught_while};
use crate::queue::Front;
use crate::random::Random;
use crate::retry::Retry;
use crate::seldom::Seldom;
use crate::{Counter, Encode, Encoded, Export, Exporter, Outcome, RetrySpec, Stop, Telemetry};

/// What sends for one exporter.
pub(super) struct Sender {
    pub(super) front: Arc<Front>,
    pub(super) maker: Maker,
    pub(super) ward: Ward,
    pub(super) retry: RetrySpec,
    /// How long one try may take.
    pub(super) limit: Duration,
    pub(super) random: Random,
    pub(super) requests: Requests,
    /// A stop is under way: whoever waits tries once more at once.
    pub(super) draining: Stop,
    pub(super) log: Seldom,
    pub(super) exchange: Arc<Exchange>,
}

/// Where a changed exporter waits to take the place of the one that sends: its queue stays, and so does what
/// waits in it. One that nobody has taken yet makes way for a newer one.
#[derive(Default)]
pub(super) struct Exchange {
    waiting: Mutex<Option<Box<Replacement>>>,
    came: Notify,
}

/// A changed exporter.
pub(super) struct Replacement {
    pub(super) maker: Maker,
    pub(super) ward: Ward,
    pub(super) encode: Box<dyn Encode>,
    pub(super) export: Box<dyn Export>,
}

/// `tapetum.export.requests`, by what became of them.
pub(super) struct Requests {
    ok: Counter,
    retryable: Counter,
    permanent: Counter,
    timeout: Counter,
}

/// Why sending ended.
enum End {
    /// The queue is closed and empty.
    Drained,
    /// The encoder failed.
    Broken,
    /// Another exporter waits to take over.
    Exchanged,
    /// A stop is under way and the backend fails: the disk keeps what is left.
    Kept,
}

/// The longest wait between two tries while a stop is under way: its time is short.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

impl Exchange {
    pub(super) fn give(&self, replacement: Replacement) {
        *self.lock() = Some(Box::new(replacement));
        self.came.notify_one();
    }

    fn take(&self) -> Option<Box<Replacement>> {
        self.lock().take()
    }

    fn is_waiting(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<Replacement>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let counter = |reason| telemetry.counter(Metric::ExportRequests, &[(Attr::Reason, reason)]);
        Self {
            ok: counter("ok"),
            retryable: counter("retryable"),
            permanent: counter("permanent"),
            timeout: counter("timeout"),
        }
    }
}

impl Sender {
    pub(super) fn ward_name(&self) -> String {
        self.ward.who().to_owned()
    }

    /// Runs until the queue is closed and empty, or until `cut`.
    pub(super) async fn run(mut self, export: Box<dyn Export>, mut cut: Stop) {
        tokio::select! {
            biased;
            () = cut.wait() => {}
            () = self.work(export) => {}
        }
    }

    async fn work(&mut self, mut export: Box<dyn Export>) {
        loop {
            let why = match caught_while(self.send_all(&mut *export)).await {
                Ok(End::Drained | End::Kept) => return,
                Ok(End::Exchanged) => {
                    if let Some(anew) = self.exchange() {
                        let before = mem::replace(&mut export, anew);
                        let _ = caught(|| drop(before));
                    }
                    continue;
                }
                Ok(End::Broken) => "its encoder panicked".to_owned(),
                Err(panicked) => {
                    self.front.lose("panic");
                    format!("it panicked: {}", panicked.0)
                }
            };
            // Its encoder, if it is not what failed, goes on filling the queue.
            let _ = caught(|| drop(export));
            let Some(anew) = self.rebuild(why).await else {
                return;
            };
            export = anew;
        }
    }

    async fn send_all(&mut self, export: &mut dyn Export) -> End {
        loop {
            let message = tokio::select! {
                biased;
                () = self.front.broken.notified() => None,
                () = self.exchange.came.notified() => None,
                message = self.front.queue.next() => match message {
                    Some(message) => Some(message),
                    None => return End::Drained,
                },
            };
            if let Some(end) = self.interrupted() {
                return end;
            }
            if let Some(message) = message
                && !self.deliver(export, message).await
            {
                return self.interrupted().unwrap_or(End::Kept);
            }
        }
    }

    /// Why sending has to end although there may be something to send.
    fn interrupted(&self) -> Option<End> {
        if self.exchange.is_waiting() {
            return Some(End::Exchanged);
        }
        self.front.is_broken().then_some(End::Broken)
    }

    /// Sends one message until its fate is known; `false`: interrupted, it stays at the head.
    async fn deliver(&mut self, export: &mut dyn Export, message: Encoded) -> bool {
        let begun = Instant::now();
        let mut retry = Retry::new(self.retry);
        loop {
            let outcome = match timeout(self.limit, export.export(message.clone())).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    self.requests.timeout.add(1);
                    Outcome::Retryable {
                        after: None,
                        message: format!("no answer within {:?}", self.limit).into(),
                    }
                }
            };
            let (after, why) = match &outcome {
                Outcome::Retryable { after, message } => (*after, Arc::clone(message)),
                settled => {
                    self.settle(settled);
                    return true;
                }
            };
            self.requests.retryable.add(1);
            let standing = self.ward.standing();
            standing.note(Some(format!("the backend fails: {why}")));
            let Some(wait) = retry.wait(begun.elapsed(), after, &mut self.random) else {
                warn!(exporter = %self.front.id, items = message.items,
                    "gave up after {:.1?} and drops the message: {why}", begun.elapsed());
                self.front.lose("gave_up");
                return true;
            };
            let draining = self.draining.requested();
            if draining && self.front.keeps() {
                return false;
            }
            let wait = match draining {
                true => wait.min(DRAIN_WAIT.max(after.unwrap_or_default())),
                false => wait,
            };
            if let Some(left_out) = self.log.now() {
                warn!(exporter = %self.front.id, left_out, "the backend fails, tries again in {wait:.1?}: {why}");
            }
            self.front.again_at(Some(Instant::now() + wait));
            if !self.pause(wait).await {
                return false;
            }
        }
    }

    /// Takes the exporter that waits into use.
    fn exchange(&mut self) -> Option<Box<dyn Export>> {
        let replacement = self.exchange.take()?;
        let Replacement {
            maker,
            ward,
            encode,
            export,
        } = *replacement;
        self.retry = maker.instance.retry;
        self.maker = maker;
        self.ward = ward;
        self.front.install(encode);
        self.front.again_at(None);
        Some(export)
    }

    /// Waits; `false`: the encoder failed meanwhile, or another exporter takes over.
    async fn pause(&mut self, wait: Duration) -> bool {
        let was_draining = self.draining.requested();
        tokio::select! {
            biased;
            () = self.front.broken.notified() => !self.front.is_broken(),
            () = self.exchange.came.notified() => !self.exchange.is_waiting(),
            () = self.draining.wait(), if !was_draining => true,
            () = sleep(wait) => true,
        }
    }

    fn settle(&mut self, outcome: &Outcome) {
        self.front.again_at(None);
        self.front.sent(outcome);
        let note = match outcome {
            Outcome::Ok { rejected: 0, .. } => {
                self.requests.ok.add(1);
                None
            }
            Outcome::Ok { rejected, message } => {
                self.requests.ok.add(1);
                let why = message.as_deref().unwrap_or("no reason given");
                if let Some(left_out) = self.log.now() {
                    warn!(exporter = %self.front.id, rejected, left_out, "the backend took a part only: {why}");
                }
                None
            }
            Outcome::Permanent { message } | Outcome::Retryable { message, .. } => {
                self.requests.permanent.add(1);
                if let Some(left_out) = self.log.now() {
                    warn!(exporter = %self.front.id, left_out, "the backend rejects what is sent: {message}");
                }
                Some(format!("the backend rejects what is sent: {message}"))
            }
        };
        let failed_before = self.ward.standing().state().note.is_some();
        if failed_before && note.is_none() {
            info!(exporter = %self.front.id, "the backend takes what is sent again");
        }
        self.ward.standing().note(note);
    }

    /// Makes it anew; `None`: there is nothing to send any more.
    async fn rebuild(&mut self, mut why: String) -> Option<Box<dyn Export>> {
        loop {
            let wait = self.ward.fell(&why);
            tokio::select! {
                biased;
                () = self.front.queue.done() => return None,
                () = self.exchange.came.notified() => {}
                () = sleep(wait) => {}
            }
            if let Some(anew) = self.exchange() {
                return Some(anew);
            }
            match self.maker.exporter() {
                Ok(Exporter::Push { encode, export }) => {
                    self.front.install(encode);
                    self.ward.rose();
                    return Some(export);
                }
                Ok(Exporter::Pull(_)) => "it is no longer one that is sent to".clone_into(&mut why),
                Err(error) => why = error.message,
            }
        }
    }
}
