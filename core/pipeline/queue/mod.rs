//! The queue before an exporter: encoded messages, bounded in bytes, with a named policy for what
//! does not fit.
//!
//! The message that is being sent stays at the head until its outcome is known, so it keeps its
//! room and is never the one that makes room.
//!
//! A queue with a disk has three parts, in this order: what waits in memory and can be sent, what is on
//! the disk only, and what is behind that, in memory, on its way to the disk. Each of the two in memory
//! has half of `size`. [`tier`] says what moves between them, [`disk`] what the disk should do
//! next, and [`keeper`] is the task that does it.

mod disk;
mod door;
mod folders;
mod front;
mod keeper;
mod receipt;
#[cfg(test)]
mod tests;
mod tier;

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapetum_model::Loss;
use tokio::sync::Notify;

pub(crate) use door::{Door, Permit, Weight};
pub(crate) use folders::check_folders;
pub(crate) use front::{Front, Prepared};
pub(crate) use receipt::Receipt;

use tier::{Place, Tier};

use crate::{DiskSpec, Encoded, Full, Pressure};

/// A bounded store of messages.
pub(crate) struct Queue {
    size_bytes: u64,
    state: Mutex<State>,
    /// Something came, or the queue was closed.
    came: Notify,
    /// Something left.
    left: Notify,
    /// There may be something to write, to read or to settle.
    work: Arc<Notify>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Promised to batches that were admitted but are not encoded yet.
    reserved: u64,
    /// The head is being sent.
    sending: bool,
    /// Something did not fit since the last one left.
    overflown: bool,
    closed: bool,
    /// Of a queue with a disk.
    tier: Option<Tier>,
}

/// A message in the queue, and the loss that it tells of: if it is lost too, the next one tells both.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Encoded,
    pub(crate) loss: Loss,
    place: Place,
    /// The oldest makes room for it.
    evicts: bool,
    /// Whoever waits until it is safe.
    receipt: Receipt,
}

/// What became of a message that was pushed.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    /// Those that made room for it.
    pub(crate) evicted: Vec<Waiting>,
    /// The message itself, if it was not stored.
    pub(crate) returned: Option<Waiting>,
}

/// What a message costs beyond its bytes: without it, empty messages would be unbounded.
const OVERHEAD_BYTES: u64 = size_of::<Waiting>() as u64;

impl Encoded {
    /// What the message takes of a queue's `size`.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        self.bytes.len() as u64 + OVERHEAD_BYTES
    }

    /// What of that is beside its bytes.
    pub(crate) fn overhead_bytes() -> u64 {
        OVERHEAD_BYTES
    }
}

impl Waiting {
    pub(crate) fn new(message: Encoded, loss: Loss, receipt: Receipt) -> Self {
        Self {
            message,
            loss,
            place: Place::Memory,
            evicts: false,
            receipt,
        }
    }
}

impl Queue {
    pub(crate) fn new(size_bytes: u64, disk: Option<DiskSpec>) -> Self {
        Self {
            size_bytes,
            state: Mutex::new(State {
                tier: disk.map(|disk| Tier::new(size_bytes / 2, disk)),
                ..State::default()
            }),
            came: Notify::new(),
            left: Notify::new(),
            work: Arc::default(),
        }
    }

    /// Promises room for `bytes`, and gives back `instead_of` that were promised before. What would
    /// fit into no queue is let into an empty one: refusing it forever would help nobody.
    pub(crate) fn reserve(&self, bytes: u64, instead_of: u64) -> bool {
        let mut state = self.lock();
        state.reserved -= instead_of;
        let room = match &state.tier {
            Some(tier) => tier.promises(&state, bytes),
            None => {
                let used = state.bytes + state.reserved;
                used == 0 || used + bytes <= self.size_bytes
            }
        };
        match room {
            true => state.reserved += bytes,
            false => state.overflown = true,
        }
        room
    }

    /// Promises room that may not be there: what was taken from a sender is kept, so that for a moment
    /// the queue may hold more than its size. Nobody else is let in meanwhile.
    pub(crate) fn owe(&self, bytes: u64) {
        if bytes > 0 {
            self.lock().reserved += bytes;
        }
    }

    /// Gives back what was promised.
    pub(crate) fn release(&self, bytes: u64) {
        self.lock().reserved -= bytes;
        self.left.notify_waiters();
    }

    /// Stores a message, or says what had to go instead. `reserved`: room was promised to it.
    pub(crate) fn push(&self, mut waiting: Waiting, full: Full, reserved: bool) -> Pushed {
        waiting.evicts = full == Full::DropOldest;
        let cost = waiting.message.cost_bytes();
        let mut pushed = Pushed::default();
        let mut state = self.lock();
        let may_fit = cost <= self.largest(&state);
        let mut room = may_fit && self.fits(&state, cost);
        if reserved {
            // Promised is promised, even if it turned out larger than the estimate.
            state.reserved -= cost;
            room = may_fit;
        }
        if !room && may_fit && full == Full::DropOldest {
            room = state.make_room(cost, self.size_bytes, &mut pushed.evicted);
        }
        // What never fits says nothing of how full it is.
        state.overflown |= may_fit && (!room || !pushed.evicted.is_empty());
        if !room {
            pushed.returned = Some(waiting);
            return pushed;
        }
        let needs_work = state.store(waiting);
        drop(state);
        self.came.notify_one();
        if needs_work {
            self.work.notify_one();
        }
        pushed
    }

    /// Whether a message of `cost` would have to wait for room.
    pub(crate) fn is_short_of(&self, cost: u64) -> bool {
        let mut state = self.lock();
        let may_fit = cost <= self.largest(&state);
        let short = may_fit && !self.fits(&state, cost) && !state.closed;
        state.overflown |= short;
        short
    }

    /// Waits until a message of `cost` fits; at once if it never will.
    pub(crate) async fn room(&self, cost: u64) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if !self.is_short_of(cost) {
                return;
            }
            left.await;
        }
    }

    /// The next message to send, once there is one; `None`: closed and empty. It stays in the queue
    /// until [`Queue::finish`].
    pub(crate) async fn next(&self) -> Option<Encoded> {
        loop {
            {
                let mut state = self.lock();
                if let Some(head) = state.waiting.front() {
                    let message = head.message.clone();
                    state.sending = true;
                    return Some(message);
                }
                if state.closed && state.is_empty() {
                    return None;
                }
            }
            self.came.notified().await;
        }
    }

    /// Waits until the queue is closed and empty.
    pub(crate) async fn done(&self) {
        loop {
            {
                let state = self.lock();
                if state.closed && state.is_empty() {
                    return;
                }
            }
            self.came.notified().await;
        }
    }

    /// Takes out the message that was being sent.
    pub(crate) fn finish(&self) -> Option<Waiting> {
        let mut state = self.lock();
        if !mem::take(&mut state.sending) {
            return None;
        }
        let head = state.waiting.pop_front();
        state.bytes -= head.as_ref().map_or(0, |head| head.message.cost_bytes());
        state.overflown = false;
        if let Some(head) = &head {
            state.delivered(head);
        }
        let has_tier = state.tier.is_some();
        drop(state);
        self.left.notify_waiters();
        if has_tier {
            self.work.notify_one();
        }
        head
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
        self.left.notify_waiters();
    }

    /// Takes out everything that is in memory only.
    pub(crate) fn clear(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        state.sending = false;
        state.bytes = 0;
        let mut all: Vec<Waiting> = mem::take(&mut state.waiting).into();
        if let Some(tier) = &mut state.tier {
            all.extend(tier.clear());
            all.retain(|waiting| !waiting.place.is_on_disk());
        }
        drop(state);
        self.left.notify_waiters();
        all
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn bytes(&self) -> u64 {
        let state = self.lock();
        state.bytes + state.tier.as_ref().map_or(0, Tier::behind_bytes)
    }

    pub(crate) fn level(&self) -> Pressure {
        let state = self.lock();
        let (used, size) = match &state.tier {
            Some(tier) => tier.level(),
            None => (state.bytes, self.size_bytes),
        };
        if (state.overflown && used > 0) || used * 10 >= size * 9 {
            Pressure::Full
        } else if used * 2 > size {
            Pressure::Some
        } else {
            Pressure::None
        }
    }

    fn fits(&self, state: &State, cost: u64) -> bool {
        match &state.tier {
            Some(tier) => tier.fits(state, cost),
            None => state.bytes + state.reserved + cost <= self.size_bytes,
        }
    }

    /// What a message may cost at most.
    fn largest(&self, state: &State) -> u64 {
        state.tier.as_ref().map_or(self.size_bytes, Tier::largest)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts a message where it belongs; whether the keeper has something to do with it.
    fn store(&mut self, waiting: Waiting) -> bool {
        if self.tier.is_some() {
            return self.store_in_tier(waiting);
        }
        self.bytes += waiting.message.cost_bytes();
        self.waiting.push_back(waiting);
        false
    }

    /// Takes the oldest out until a message fits; whether it does.
    fn make_room(&mut self, cost: u64, size_bytes: u64, evicted: &mut Vec<Waiting>) -> bool {
        if self.tier.is_some() {
            return self.make_room_in_tier(cost, evicted);
        }
        let fits = |state: &Self| state.bytes + state.reserved + cost <= size_bytes;
        while !fits(self) {
            let Some(old) = self.evict_oldest() else {
                return false;
            };
            evicted.push(old);
        }
        true
    }

    /// The oldest that is in memory and not being sent.
    fn evict_oldest(&mut self) -> Option<Waiting> {
        let old = self.waiting.remove(usize::from(self.sending))?;
        self.bytes -= old.message.cost_bytes();
        Some(old)
    }

    /// Whether there is nothing, neither in memory nor on disk.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.tier.as_ref().is_none_or(Tier::is_empty)
    }
}
