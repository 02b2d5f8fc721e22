//! What moves between memory and disk: which part of the queue a message is in, and when it moves on.

use std::collections::VecDeque;
use std::mem;

use tapetum_model::{Loss, Signal};
use tapetum_spool::{Draft, Meta, Position, Stored};

use super::{Receipt, State, Waiting};
use crate::{DiskSpec, Encoded};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In memory, and it need not go elsewhere.
    Memory,
    /// In memory, on its way to the disk; its number says in which order.
    Unwritten(u64),
    /// On disk too, up to here.
    Disk(Position),
}

/// The parts of a queue with a disk behind what waits in memory.
pub(super) struct Tier {
    pub(super) spec: DiskSpec,
    /// What each of the two parts in memory may take.
    pub(super) half_bytes: u64,
    /// Behind what is on the disk.
    pub(super) behind: VecDeque<Waiting>,
    pub(super) behind_bytes: u64,
    /// What is to be written, in `waiting` and in `behind`.
    pub(super) unwritten_bytes: u64,
    numbers: u64,
    /// Messages on the disk that are not in memory.
    pub(super) stored: u64,
    /// What the first of them takes in memory, if it did not fit before.
    pub(super) next_bytes: u64,
    /// Bytes of the segments.
    pub(super) used_bytes: u64,
    /// The first of `behind` that are being written.
    pub(super) writing: usize,
    /// Up to where everything was delivered, if that is not on the disk yet.
    pub(super) settled: Option<Position>,
    /// Whether it is known what is on the disk.
    pub(super) opened: bool,
    /// The disk cannot be used: what fits into memory is taken all the same.
    pub(super) degraded: bool,
}

/// What the disk should do next.
pub(super) enum Job {
    /// Write these.
    Write(Group),
    /// Read so many bytes; at least one message, if none is in memory.
    Load { room: u64, at_least_one: bool },
    /// Note that everything up to there is delivered.
    Settle(Position),
}

/// Messages that are written in one go.
pub(super) struct Group {
    pub(super) messages: Vec<Unwritten>,
    /// The first of them stay in memory too.
    pub(super) in_memory: usize,
}

/// A message that is to be written.
pub(super) struct Unwritten {
    pub(super) number: u64,
    /// The oldest on the disk makes room for it.
    pub(super) evicts: bool,
    pub(super) message: Encoded,
    pub(super) loss: Loss,
}

/// What is written in one go.
const GROUP_BYTES: u64 = 4 << 20;
const SIGNALS: [Signal; 5] = [
    Signal::Connections,
    Signal::Points,
    Signal::Traces,
    Signal::Metrics,
    Signal::Logs,
];

impl Place {
    pub(super) fn is_on_disk(self) -> bool {
        matches!(self, Self::Disk(_))
    }
}

impl Tier {
    pub(super) fn new(half_bytes: u64, spec: DiskSpec) -> Self {
        Self {
            spec,
            half_bytes,
            behind: VecDeque::new(),
            behind_bytes: 0,
            unwritten_bytes: 0,
            numbers: 0,
            stored: 0,
            next_bytes: 0,
            used_bytes: 0,
            writing: 0,
            settled: None,
            opened: false,
            degraded: false,
        }
    }

    pub(super) fn behind_bytes(&self) -> u64 {
        self.behind_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.behind.is_empty() && self.stored == 0 && (self.opened || self.degraded)
    }

    pub(super) fn largest(&self) -> u64 {
        self.half_bytes.min(self.spec.size_bytes / 2)
    }

    /// How much is used of what runs out first.
    pub(super) fn level(&self) -> (u64, u64) {
        let disk = (self.used_bytes + self.unwritten_bytes, self.spec.size_bytes);
        let behind = (self.behind_bytes, self.half_bytes);
        let disk_is_fuller = disk.0 * behind.1 > behind.0 * disk.1;
        match disk_is_fuller && !self.degraded {
            true => disk,
            false => behind,
        }
    }

    /// Whether a message may be let in, beside what was promised.
    pub(super) fn fits(&self, state: &State, cost: u64) -> bool {
        let reserved = state.reserved;
        let at_front = self.is_clear() && state.bytes + reserved + cost <= self.half_bytes;
        let behind = self.behind_bytes + reserved + cost <= self.half_bytes;
        let disk = self.has_disk_for(reserved + cost);
        match self.spec.persist {
            true => (at_front || behind) && disk,
            false => at_front || behind && disk,
        }
    }

    /// Whether room for `bytes` can be promised; more than ever fits is let in where nothing is.
    pub(super) fn promises(&self, state: &State, bytes: u64) -> bool {
        let nothing = self.behind_bytes + state.reserved == 0;
        self.fits(state, bytes) || nothing && self.has_disk_for(bytes)
    }

    pub(super) fn clear(&mut self) -> VecDeque<Waiting> {
        (self.behind_bytes, self.unwritten_bytes) = (0, 0);
        mem::take(&mut self.behind)
    }

    /// Whether nothing is between what waits in memory and what comes.
    fn is_clear(&self) -> bool {
        self.is_empty()
    }

    fn has_disk_for(&self, bytes: u64) -> bool {
        self.degraded || self.used_bytes + self.unwritten_bytes + bytes <= self.spec.size_bytes
    }

    fn number(&mut self) -> Place {
        self.numbers += 1;
        Place::Unwritten(self.numbers)
    }

    /// What is on its way to the disk in `waiting`, and after it in `behind`; as much as is written in one go.
    pub(super) fn unwritten(&mut self, waiting: &VecDeque<Waiting>) -> Option<Group> {
        let is_unwritten = |one: &&Waiting| matches!(one.place, Place::Unwritten(_));
        let last = waiting.iter().rev().take_while(is_unwritten).count();
        let first = waiting.len() - last;
        let mut bytes = 0;
        let all = waiting.iter().skip(first).chain(&self.behind);
        let group = all.take_while(|one| {
            let takes = bytes == 0 || bytes + one.message.cost_bytes() <= GROUP_BYTES;
            bytes += one.message.cost_bytes();
            takes
        });
        let messages: Vec<Unwritten> = group.filter_map(Unwritten::of).collect();
        let in_memory = last.min(messages.len());
        self.writing = messages.len() - in_memory;
        (!messages.is_empty()).then_some(Group {
            messages,
            in_memory,
        })
    }
}

impl Unwritten {
    fn of(waiting: &Waiting) -> Option<Self> {
        let Place::Unwritten(number) = waiting.place else {
            return None;
        };
        Some(Self {
            number,
            evicts: waiting.evicts,
            message: waiting.message.clone(),
            loss: waiting.loss,
        })
    }

    pub(super) fn draft(&self) -> Draft<'_> {
        draft(&self.message, &self.loss)
    }
}

/// A message as it is written.
pub(super) fn draft<'a>(message: &'a Encoded, loss: &Loss) -> Draft<'a> {
    Draft {
        meta: meta(message, loss),
        parts: message.bytes.iter().map(|piece| &piece[..]).collect(),
    }
}

impl State {
    /// Puts a message at the end, in a queue with a disk.
    pub(super) fn store_in_tier(&mut self, mut waiting: Waiting) -> bool {
        let Some(tier) = &mut self.tier else {
            return false;
        };
        let cost = waiting.message.cost_bytes();
        let at_front = tier.is_clear() && self.bytes + cost <= tier.half_bytes;
        if at_front && !tier.spec.persist {
            self.bytes += cost;
            waiting.receipt = Receipt::default();
            self.waiting.push_back(waiting);
            return false;
        }
        if tier.degraded || !tier.spec.persist {
            // Nobody can wait for a disk that is not there, or for one that promises nothing.
            waiting.receipt = Receipt::default();
        }
        waiting.place = tier.number();
        tier.unwritten_bytes += cost;
        if at_front {
            self.bytes += cost;
            self.waiting.push_back(waiting);
        } else {
            tier.behind_bytes += cost;
            tier.behind.push_back(waiting);
        }
        true
    }

    /// Takes out the oldest that can go, until a message fits into memory; the disk makes its own room.
    pub(super) fn make_room_in_tier(&mut self, cost: u64, evicted: &mut Vec<Waiting>) -> bool {
        loop {
            let Some(tier) = &mut self.tier else {
                return false;
            };
            let at_front = tier.is_clear() && self.bytes + self.reserved + cost <= tier.half_bytes;
            if at_front || tier.behind_bytes + self.reserved + cost <= tier.half_bytes {
                return true;
            }
            let old = if tier.stored == 0 && tier.writing == 0 {
                self.evict_oldest()
            } else {
                let old = tier.behind.remove(tier.writing);
                tier.behind_bytes -= old.as_ref().map_or(0, |old| old.message.cost_bytes());
                old
            };
            let Some(old) = old else {
                return false;
            };
            self.forget_unwritten(&old);
            evicted.push(old);
            self.shift();
        }
    }

    /// The head has left.
    pub(super) fn delivered(&mut self, head: &Waiting) {
        self.forget_unwritten(head);
        if let (Some(tier), Place::Disk(position)) = (&mut self.tier, head.place) {
            tier.settled = tier.settled.max(Some(position));
        }
        self.shift();
    }

    fn forget_unwritten(&mut self, gone: &Waiting) {
        if let (Some(tier), Place::Unwritten(_)) = (&mut self.tier, gone.place) {
            tier.unwritten_bytes -= gone.message.cost_bytes();
        }
    }

    /// What is behind an empty disk moves up, unless it is just being written.
    pub(super) fn shift(&mut self) {
        let Some(tier) = &mut self.tier else { return };
        while tier.stored == 0 && tier.writing == 0 && (tier.opened || tier.degraded) {
            let cost = tier.behind.front().map(|next| next.message.cost_bytes());
            let Some(cost) = cost.filter(|cost| self.bytes + cost <= tier.half_bytes) else {
                return;
            };
            let Some(mut next) = tier.behind.pop_front() else {
                return;
            };
            tier.behind_bytes -= cost;
            self.bytes += cost;
            if !tier.spec.persist {
                tier.unwritten_bytes -= cost;
                next.place = Place::Memory;
            }
            self.waiting.push_back(next);
        }
    }
}

impl Waiting {
    pub(super) fn of(stored: Stored) -> Self {
        let Meta { kind, items, lost } = stored.meta;
        let [ring, limit, queue] = lost;
        let message = Encoded {
            // Its head has a checksum, so the kind is one that was written.
            signal: SIGNALS
                .get(usize::from(kind))
                .copied()
                .unwrap_or(Signal::Traces),
            items,
            bytes: stored.body.into(),
        };
        Self {
            place: Place::Disk(stored.position),
            ..Self::new(message, Loss { ring, limit, queue }, Receipt::default())
        }
    }
}

/// What is written of a message beside its bytes.
fn meta(message: &Encoded, loss: &Loss) -> Meta {
    let kind = SIGNALS.iter().position(|one| *one == message.signal);
    Meta {
        kind: kind.map_or(u8::MAX, |kind| kind as u8),
        items: message.items,
        lost: loss.by_stage().map(|(_, lost)| lost),
    }
}
