//! Decides at a pipeline's door whether a batch can be taken, before any component has seen it.
//!
//! A processor that has absorbed a batch cannot give it back, and a receiver in two pipelines must
//! not be refused by one after the other has taken it: so room is promised in every queue that may
//! refuse, by an estimate learnt from what came before, or nothing is touched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tapetum_model::{Batch, Origin, Payload};

use super::Front;
use crate::{Full, Gate, Pressure};

/// The door of one pipeline.
#[derive(Default)]
pub(crate) struct Door {
    fronts: Vec<Entrance>,
    /// A processor waits to be rebuilt: peers are asked to come back.
    ailing: AtomicBool,
    /// What a processor of the pipeline closes.
    gate: Gate,
}

struct Entrance {
    front: Arc<Front>,
    /// Bytes that a unit of weight at the door becomes in this queue, in 1/256; by [`Measure`].
    density: [AtomicU64; 2],
}

/// What is known of a batch's size at the door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    measure: Measure,
    amount: u64,
}

/// What is weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Measure {
    /// Rows and points have no size before they are encoded.
    #[default]
    Items,
    /// OTLP is encoded already: one item may be a hundred times as long as another.
    Bytes,
}

/// Room that was promised in one queue; dropping it gives it back.
pub(crate) struct Permit {
    front: Arc<Front>,
    bytes: u64,
}

/// What a sender waits while a component is rebuilt.
const AILING_AFTER: Duration = Duration::from_secs(1);

impl Door {
    pub(crate) fn new(fronts: &[Arc<Front>], gate: Gate) -> Self {
        let fronts = fronts
            .iter()
            .map(|front| Entrance {
                front: Arc::clone(front),
                density: Default::default(),
            })
            .collect();
        Self {
            fronts,
            ailing: AtomicBool::new(false),
            gate,
        }
    }

    /// Room for `batch` in every queue that may refuse it, or how long its sender should wait.
    pub(crate) fn admit(&self, batch: &Batch) -> Result<Vec<Permit>, Duration> {
        if let (Origin::Peer, Some(after)) = (batch.origin, self.gate.closed()) {
            return Err(after);
        }
        let mut permits = Vec::new();
        for entrance in &self.fronts {
            let front = &entrance.front;
            if front.policy(batch.origin) != Full::Refuse {
                continue;
            }
            if self.ailing.load(Ordering::Relaxed) || front.is_broken() {
                return Err(AILING_AFTER);
            }
            let bytes = entrance.estimate(Weight::of(batch));
            let Some(permit) = Permit::of(front, bytes) else {
                front.tell();
                return Err(front.refused_after());
            };
            permits.push(permit);
        }
        Ok(permits)
    }

    /// Learns what a weight at the door became.
    pub(crate) fn learn(&self, front: &Arc<Front>, weight: Weight, bytes: u64) {
        let entrance = self
            .fronts
            .iter()
            .find(|entrance| Arc::ptr_eq(&entrance.front, front));
        if let (Some(entrance), 1..) = (entrance, weight.amount) {
            let density = (bytes * 256).div_ceil(weight.amount);
            let cell = &entrance.density[weight.measure as usize];
            let known = cell.load(Ordering::Relaxed);
            // Rises at once and falls slowly: an estimate too low costs more than one too high.
            cell.store(density.max(known - known / 8), Ordering::Relaxed);
        }
    }

    /// How full the fullest queue behind it is, or how short of memory the process.
    pub(crate) fn pressure(&self) -> Pressure {
        let levels = self.fronts.iter().map(|one| one.front.queue.level());
        levels.max().unwrap_or_default().max(self.gate.level())
    }

    /// When a peer may come back; `None`: it need not ask.
    pub(crate) fn closed(&self) -> Option<Duration> {
        self.gate.closed()
    }

    /// Whether it leads to these exporters and no others.
    pub(crate) fn leads_to(&self, fronts: &[Arc<Front>]) -> bool {
        let mut own = self.fronts.iter().map(|one| &one.front);
        self.fronts.len() == fronts.len()
            && own.all(|own| fronts.iter().any(|front| Arc::ptr_eq(own, front)))
    }

    pub(crate) fn ailing(&self, ailing: bool) {
        self.ailing.store(ailing, Ordering::Relaxed);
    }
}

impl Entrance {
    fn estimate(&self, weight: Weight) -> u64 {
        let density = self.density[weight.measure as usize].load(Ordering::Relaxed);
        match weight.measure {
            Measure::Bytes if density == 0 => weight.amount,
            _ => density.saturating_mul(weight.amount) / 256,
        }
    }
}

impl Weight {
    pub(crate) fn of(batch: &Batch) -> Self {
        match &batch.payload {
            Payload::Otlp(otlp) => Self {
                measure: Measure::Bytes,
                amount: otlp.bytes.len() as u64,
            },
            Payload::Records(_) | Payload::Points(_) => Self {
                measure: Measure::Items,
                amount: batch.items(),
            },
        }
    }

    /// Both together; `None`: one of them says nothing of the other.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        if self.amount == 0 {
            return Some(other);
        }
        (self.measure == other.measure).then(|| Self {
            amount: self.amount + other.amount,
            ..self
        })
    }
}

impl Permit {
    /// Room for `bytes`, if there is.
    pub(crate) fn of(front: &Arc<Front>, bytes: u64) -> Option<Self> {
        front.queue.reserve(bytes, 0).then(|| Self {
            front: Arc::clone(front),
            bytes,
        })
    }

    /// Exchanges the estimate for what is really needed, if there is room for it.
    pub(crate) fn exchange(mut self, bytes: u64) -> Option<Self> {
        let estimated = std::mem::take(&mut self.bytes);
        if !self.front.queue.reserve(bytes, estimated) {
            return None;
        }
        self.bytes = bytes;
        Some(self)
    }

    /// The room is about to be used: the messages that are pushed give it back themselves.
    pub(crate) fn redeem(mut self) {
        self.bytes = 0;
    }

    /// Nothing yet; grows by what is added.
    pub(crate) fn none(front: &Arc<Front>) -> Self {
        Self {
            front: Arc::clone(front),
            bytes: 0,
        }
    }

    /// Takes over what another promises of the same queue.
    pub(crate) fn add(&mut self, mut other: Self) {
        debug_assert!(other.is_for(&self.front), "a promise of another queue");
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Redeems a part. What was promised was an estimate: where it was too low the queue owes the rest,
    /// because the sender was told that this is taken.
    pub(crate) fn redeem_part(&mut self, bytes: u64) {
        let missing = bytes.saturating_sub(self.bytes);
        self.front.queue.owe(missing);
        self.bytes -= bytes - missing;
    }

    pub(crate) fn is_for(&self, front: &Arc<Front>) -> bool {
        Arc::ptr_eq(&self.front, front)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.front.queue.release(self.bytes);
        }
    }
}
