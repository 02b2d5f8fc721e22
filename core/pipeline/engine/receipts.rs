//! Who waits until what was handed over is safe: a sender of a pipeline with a queue that persists is
//! answered when all that became of its batch is on the disk, also of what a processor holds meanwhile.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::chain::Chain;
use crate::Answer;
use crate::queue::Receipt;

/// The senders whose batches are, in part or whole, in a processor.
#[derive(Default)]
pub(super) struct Receipts(VecDeque<Pending>);

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
        self.0.push_back(Pending {
            receipt: Receipt::to(sender),
            stage: 0,
            entered: chain.flow(0).map_or(0, |(entered, _)| entered),
        });
    }

    /// For what comes out of the processors now: it may be of each of them.
    pub(super) fn all(&self) -> Receipt {
        Receipt::all(self.0.iter().map(|one| one.receipt.clone()).collect())
    }

    /// The last that entered is refused after all.
    pub(super) fn refuse(&mut self, answer: Answer) {
        if let Some(last) = self.0.pop_back() {
            last.receipt.refuse(answer);
        }
    }

    /// The processors are others now: what some of them still hold is awaited from the first on.
    pub(super) fn restart(&mut self, chain: &Chain) {
        for one in &mut self.0 {
            one.stage = 0;
            one.entered = chain.flow(0).map_or(0, |(entered, _)| entered);
        }
    }

    /// Lets go of those of which no processor holds anything any more.
    pub(super) fn settle(&mut self, chain: &Chain) {
        self.0.retain_mut(|one| !one.has_left(chain));
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
