//! Who waits until what was handed over is safe: a sender of a pipeline with a queue that persists is
//! answered when all that became of its batch is on the disk, also of what a processor holds meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::chain::Chain;
use crate::Answer;
use crate::queue::Receipt;

/// The senders whose batches are, in part or whole, in a processor.
#[derive(Default)]
pub(super) struct Receipts {
    pending: VecDeque<Pending>,
    /// Since when somebody waits, or since the processors were last asked to give what they hold.
    since: Option<Instant>,
}

/// Senders do not wait for a processor's own time: what all that send at once have handed over after so long
/// goes on together.
const PATIENCE: Duration = Duration::from_millis(10);

/// A batch on its way through the processors. Each gives what it holds in the order in which it came, so
/// a processor is done with a batch when it has given as many items as it had taken with it.
struct Pending {
    receipt: Receipt,
    stage: usize,
    entered: u64,
}

impl Receipts {
    /// A batch was handed over and has gone through the processors as far as they let it.
    pub(super) fn enter(&mut self, sender: oneshot::Sender<Answer>, chain: &Chain) {
        self.since.get_or_insert_with(Instant::now);
        self.pending.push_back(Pending {
            receipt: Receipt::to(sender),
            stage: 0,
            entered: chain.flow(0).map_or(0, |(entered, _)| entered),
        });
    }

    /// When the processors should give what they hold although their own time has not come.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    /// They are asked now.
    pub(super) fn asked(&mut self) {
        self.since = Some(Instant::now());
    }

    /// For what comes out of the processors now: it may be of each of them.
    pub(super) fn all(&self) -> Receipt {
        Receipt::all(self.pending.iter().map(|one| one.receipt.clone()).collect())
    }

    /// The last that entered is refused after all.
    pub(super) fn refuse(&mut self, answer: Answer) {
        if let Some(last) = self.pending.pop_back() {
            last.receipt.refuse(answer);
        }
    }

    /// The processors are others now: what some of them still hold is awaited from the first on.
    pub(super) fn restart(&mut self, chain: &Chain) {
        for one in &mut self.pending {
            one.stage = 0;
            one.entered = chain.flow(0).map_or(0, |(entered, _)| entered);
        }
    }

    /// Lets go of those of which no processor holds anything any more.
    pub(super) fn settle(&mut self, chain: &Chain) {
        self.pending.retain_mut(|one| !one.has_left(chain));
        if self.pending.is_empty() {
            self.since = None;
        }
    }
}

impl Pending {
    fn has_left(&mut self, chain: &Chain) -> bool {
        while let Some((_, left)) = chain.flow(self.stage) {
            if left < self.entered {
                return false;
            }
            self.stage += 1;
            // What has left one processor is in the next, at the latest behind all that is there now.
            self.entered = chain.flow(self.stage).map_or(0, |(entered, _)| entered);
        }
        true
    }
}
