//! What stands before a queue: encodes a batch once, decides whether it fits, keeps the books.
//!
//! A batch goes through in two steps. [`Front::prepare`] encodes it; then, once every exporter of
//! the pipeline has said yes, [`Front::commit`] stores it. So a refusal leaves no copy behind, and a
//! sender that comes back makes no duplicate.

use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tapetum_model::{Batch, Loss, Metric, Origin};
use tapetum_spool::Files;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::keeper::Keeper;
use super::{Queue, Receipt, Waiting, folders};
use crate::books::{Account, Posting};
use crate::caught::caught;
use crate::seldom::Seldom;
use crate::{
    DiskSpec, Encode, Encoded, Encoding, Full, Gauge, Health, Outcome, QueueSpec, Stop, Telemetry,
};

/// An exporter as the pipelines see it; shared by all that end in it.
pub(crate) struct Front {
    pub(crate) id: Arc<str>,
    pub(crate) account: Arc<Account>,
    pub(crate) queue: Queue,
    /// The encoder failed: whoever supervises the exporter makes both anew.
    pub(crate) broken: Notify,
    full: Option<Full>,
    encoder: Mutex<Encoder>,
    /// When the exporter tries again, while its backend fails.
    again_at: Mutex<Option<Instant>>,
    bytes: Gauge,
    full_log: Seldom,
    large_log: Seldom,
    disk: Option<DiskSpec>,
    /// What is to be said of the disk.
    health: Health,
    keeper: Mutex<Option<Kept>>,
}

/// The task that keeps the disk, and the switch that ends it.
struct Kept {
    stop: watch::Sender<bool>,
    /// Gives how many items are on the disk at its end.
    task: JoinHandle<u64>,
}

struct Encoder {
    encode: Option<Box<dyn Encode>>,
    /// What was lost here and not told yet: the next message tells it.
    untold: Loss,
}

/// A batch in the form that one exporter sends.
pub(crate) struct Prepared {
    pub(crate) bytes: u64,
    messages: Vec<Encoded>,
    items: u64,
    said: Encoding,
    failed: Option<&'static str>,
    /// Of the batch and of what was untold.
    loss: Loss,
    untold: Loss,
    pub(crate) full: Full,
    origin: Origin,
}

/// What a refused sender waits at least.
const REFUSED_AFTER: Duration = Duration::from_secs(1);

impl Prepared {
    /// Whether somebody who could have been refused was, or will be, told that it is taken. What a flush
    /// makes was promised to nobody.
    pub(crate) fn is_owed(&self) -> bool {
        self.full == Full::Refuse && self.origin != Origin::Flush
    }
}

impl Front {
    pub(crate) fn new(
        id: &str,
        encode: Box<dyn Encode>,
        spec: QueueSpec,
        telemetry: &Telemetry,
        account: Arc<Account>,
    ) -> Self {
        let capacity = telemetry.gauge(Metric::QueueCapacity, &[]);
        capacity.set(i64::try_from(spec.size_bytes).unwrap_or(i64::MAX));
        Self {
            id: id.into(),
            account,
            queue: Queue::new(spec.size_bytes, spec.disk),
            broken: Notify::new(),
            full: spec.full.filter(|full| *full != Full::Spill),
            encoder: Mutex::new(Encoder {
                encode: Some(encode),
                untold: Loss::default(),
            }),
            again_at: Mutex::default(),
            bytes: telemetry.gauge(Metric::QueueBytes, &[]),
            full_log: Seldom::default(),
            large_log: Seldom::default(),
            disk: spec.disk,
            health: Health::default(),
            keeper: Mutex::default(),
        }
    }

    /// Sets the task going that reads and writes for it, if it has a disk.
    pub(crate) fn keep_on_disk(
        self: &Arc<Self>,
        files: &Arc<dyn Files>,
        data_dir: &Path,
        telemetry: &Telemetry,
    ) {
        let Some(spec) = self.disk else { return };
        let place = (Arc::clone(files), folders::folder(data_dir, &self.id));
        let keeper = Keeper::new(self, spec, place, telemetry, self.health.clone());
        let (stop, stopped) = Stop::channel();
        let task = tokio::spawn(keeper.run(stopped));
        *self.keeper() = Some(Kept { stop, task });
    }

    /// What is to be said of its disk; `None`: it has none.
    pub(crate) fn disk_health(&self) -> Option<Health> {
        self.disk.map(|_| self.health.clone())
    }

    /// Whether what is told to be taken must be on the disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.disk.is_some_and(|disk| disk.persist)
    }

    /// Whether a stop keeps what is left.
    pub(crate) fn keeps(&self) -> bool {
        self.disk.is_some()
    }

    /// Writes what is in memory only to disk, and ends the task that does; returns how many items stay there.
    pub(crate) async fn keep(&self, deadline: Instant) -> u64 {
        let Some(mut kept) = self.keeper().take() else {
            return 0;
        };
        kept.stop.send_replace(true);
        let Ok(items) = timeout_at(deadline, &mut kept.task).await else {
            warn!(exporter = %self.id, "the disk did not take the rest of the queue in time");
            kept.task.abort();
            return 0;
        };
        let items = items.unwrap_or_default();
        self.account.keep(items);
        items
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Kept>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to what does not fit: as the file says, else by the origin.
    pub(crate) fn policy(&self, origin: Origin) -> Full {
        self.full.unwrap_or(match origin {
            Origin::Kernel | Origin::Flush => Full::DropOldest,
            Origin::Peer => Full::Refuse,
        })
    }

    /// Encodes a batch, with what was lost here before on it.
    pub(crate) fn prepare(&self, batch: &mut Batch) -> Prepared {
        let mut encoder = self.encoder();
        let untold = mem::take(&mut encoder.untold);
        let own = batch.loss;
        batch.loss.add(&untold);
        let loss = batch.loss;
        let mut messages = Vec::new();
        let (said, failed) = match &mut encoder.encode {
            None => (Encoding::default(), Some("restarting")),
            Some(encode) => match caught(|| encode.encode(batch, &mut messages)) {
                Ok(said) => (said, None),
                Err(panicked) => {
                    error!(exporter = %self.id, "the encoder panicked: {}", panicked.0);
                    messages.clear();
                    encoder.encode = None;
                    self.broken.notify_one();
                    (Encoding::default(), Some("panic"))
                }
            },
        };
        batch.loss = own;
        Prepared {
            bytes: messages.iter().map(Encoded::cost_bytes).sum(),
            messages,
            items: batch.items(),
            said,
            failed,
            loss,
            untold,
            full: self.policy(batch.origin),
            origin: batch.origin,
        }
    }

    /// Stores what was prepared, if need be after waiting for room. For what is owed, room was promised.
    /// `receipt` is held until all of it is safe.
    pub(crate) async fn commit(&self, prepared: Prepared, receipt: &Receipt) {
        let reserved = prepared.is_owed();
        let encoded: u64 = prepared.messages.iter().map(|message| message.items).sum();
        let told = encoded + prepared.said.filtered + prepared.said.rejected;
        // An encoder that loses items by mistake loses them in the books, not behind them.
        let missing = prepared.items.saturating_sub(told);
        self.account.post(&Posting {
            taken: prepared.items.max(told),
            held: signed(encoded),
            filtered: vec![("not_for_exporter", prepared.said.filtered)],
            rejected: Some(("not_encodable", prepared.said.rejected)),
            dropped: Some((prepared.failed.unwrap_or("not_encoded"), missing)),
            ..Posting::default()
        });
        let mut loss = prepared.loss;
        {
            let mut encoder = self.encoder();
            encoder.untold.queue += missing + prepared.said.rejected;
            if prepared.messages.is_empty() {
                encoder.untold.add(&loss);
            }
        }
        for message in prepared.messages {
            let cost = message.cost_bytes();
            if prepared.full == Full::Block && self.queue.is_short_of(cost) {
                self.tell();
                self.queue.room(cost).await;
            }
            let receipt = match self.is_durable() {
                true => receipt.clone(),
                false => Receipt::default(),
            };
            let waiting = Waiting::new(message, mem::take(&mut loss), receipt);
            self.store(waiting, prepared.full, reserved);
        }
        self.tell();
    }

    /// Forgets what was prepared: the sender is told to come back. `taken`: the books have it as
    /// handed in.
    pub(crate) fn refuse(&self, prepared: &Prepared) {
        self.encoder().untold.add(&prepared.untold);
        self.account.post(&Posting {
            taken: prepared.items,
            refused: prepared.items,
            ..Posting::default()
        });
        self.tell();
    }

    /// When a refused sender may come back.
    pub(crate) fn refused_after(&self) -> Duration {
        let again_at = *self.again_at.lock().unwrap_or_else(PoisonError::into_inner);
        again_at
            .map(|at| at.saturating_duration_since(Instant::now()))
            .unwrap_or_default()
            .max(REFUSED_AFTER)
    }

    /// The exporter's backend fails until then; `None`: it is well.
    pub(crate) fn again_at(&self, at: Option<Instant>) {
        *self.again_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Books the outcome of the message that was being sent.
    pub(crate) fn sent(&self, outcome: &Outcome) {
        let Some(waiting) = self.queue.finish() else {
            return;
        };
        let items = waiting.message.items;
        let rejected = match outcome {
            Outcome::Ok { rejected, .. } => ("rejected", (*rejected).min(items)),
            Outcome::Permanent { .. } | Outcome::Retryable { .. } => ("permanent", items),
        };
        self.account.post(&Posting {
            held: -signed(items),
            out: items - rejected.1,
            rejected: Some(rejected),
            ..Posting::default()
        });
        if rejected.1 > 0 {
            let mut encoder = self.encoder();
            encoder.untold.queue += rejected.1;
        }
        self.tell();
    }

    /// Loses the message that was being sent.
    pub(crate) fn lose(&self, reason: &'static str) {
        if let Some(waiting) = self.queue.finish() {
            self.count_lost(&waiting, reason);
        }
        self.tell();
    }

    /// Loses everything that is left; returns how many items that was.
    pub(crate) fn abandon(&self, reason: &'static str) -> u64 {
        let all = self.queue.clear();
        for waiting in &all {
            self.count_lost(waiting, reason);
        }
        self.tell();
        all.iter().map(|waiting| waiting.message.items).sum()
    }

    /// So many items were on the disk before it started.
    pub(crate) fn found(&self, items: u64) {
        self.account.find(items);
    }

    /// So many items that were on the disk are gone.
    pub(crate) fn lost_on_disk(&self, items: u64, reason: &'static str) {
        self.account.post(&Posting {
            held: -signed(items),
            dropped: Some((reason, items)),
            ..Posting::default()
        });
        self.encoder().untold.queue += items;
    }

    /// Takes a new encoder into use.
    pub(crate) fn install(&self, encode: Box<dyn Encode>) {
        self.encoder().encode = Some(encode);
    }

    /// Whether the encoder failed and none has taken its place.
    pub(crate) fn is_broken(&self) -> bool {
        self.encoder().encode.is_none()
    }

    pub(crate) fn tell(&self) {
        self.bytes.set(signed(self.queue.bytes()));
    }

    fn store(&self, waiting: Waiting, full: Full, reserved: bool) {
        let pushed = self.queue.push(waiting, full, reserved);
        for evicted in &pushed.evicted {
            self.count_lost(evicted, "queue_full");
        }
        let Some(returned) = pushed.returned else {
            if !pushed.evicted.is_empty()
                && let Some(left_out) = self.full_log.now()
            {
                warn!(exporter = %self.id, left_out, "the queue is full: the oldest messages are dropped");
            }
            return;
        };
        let cost = returned.message.cost_bytes();
        let size = self.queue.size_bytes();
        if cost > size {
            self.count_lost(&returned, "too_large");
            if let Some(left_out) = self.large_log.now() {
                warn!(exporter = %self.id, left_out, bytes = cost, size, items = returned.message.items,
                    "a message is larger than the whole queue and is dropped: raise `queue.size`");
            }
        } else {
            self.count_lost(&returned, "queue_full");
            if let Some(left_out) = self.full_log.now() {
                warn!(exporter = %self.id, left_out, "the queue is full: new messages are dropped");
            }
        }
    }

    fn count_lost(&self, waiting: &Waiting, reason: &'static str) {
        let items = waiting.message.items;
        self.account.post(&Posting {
            held: -signed(items),
            dropped: Some((reason, items)),
            ..Posting::default()
        });
        let mut encoder = self.encoder();
        encoder.untold.add(&waiting.loss);
        encoder.untold.queue += items;
    }

    fn encoder(&self) -> MutexGuard<'_, Encoder> {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
