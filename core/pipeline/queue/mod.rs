//! The queue before an exporter: encoded messages, bounded in bytes, with a named policy for what
//! does not fit.
//!
//! The message that is being sent stays at the head until its outcome is known, so it keeps its
//! room and is never the one that makes room.

mod door;
mod front;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tapetum_model::Loss;
use tokio::sync::Notify;

pub(crate) use door::{Door, Permit, Weight};
pub(crate) use front::{Front, Prepared};

use crate::{Encoded, Full, Pressure};

/// A bounded store of messages.
pub(crate) struct Queue {
    size_bytes: u64,
    state: Mutex<State>,
    /// Something came, or the queue was closed.
    came: Notify,
    /// Something left.
    left: Notify,
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
}

/// A message in the queue, and the loss that it tells of: if it is lost too, the next one tells both.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Encoded,
    pub(crate) loss: Loss,
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
}

impl Queue {
    pub(crate) fn new(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            state: Mutex::default(),
            came: Notify::new(),
            left: Notify::new(),
        }
    }

    /// Promises room for `bytes`, and gives back `instead_of` that were promised before. What would
    /// fit into no queue is let into an empty one: refusing it forever would help nobody.
    pub(crate) fn reserve(&self, bytes: u64, instead_of: u64) -> bool {
        let mut state = self.lock();
        state.reserved -= instead_of;
        let used = state.bytes + state.reserved;
        if used > 0 && used + bytes > self.size_bytes {
            state.overflown = true;
            return false;
        }
        state.reserved += bytes;
        true
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
    pub(crate) fn push(&self, waiting: Waiting, full: Full, reserved: bool) -> Pushed {
        let cost = waiting.message.cost_bytes();
        let mut pushed = Pushed::default();
        let mut state = self.lock();
        let mut room = self.fits(&state, cost);
        if reserved {
            // Promised is promised, even if it turned out larger than the estimate.
            state.reserved -= cost;
            room = cost <= self.size_bytes;
        }
        if !room && full == Full::DropOldest && cost <= self.size_bytes {
            let oldest = usize::from(state.sending);
            while !room && state.waiting.len() > oldest {
                let evicted = state.waiting.remove(oldest);
                state.bytes -= evicted.as_ref().map_or(0, |old| old.message.cost_bytes());
                pushed.evicted.extend(evicted);
                room = self.fits(&state, cost);
            }
        }
        // What never fits says nothing of how full it is.
        state.overflown |= cost <= self.size_bytes && (!room || !pushed.evicted.is_empty());
        if room {
            state.bytes += cost;
            state.waiting.push_back(waiting);
            drop(state);
            self.came.notify_one();
        } else {
            pushed.returned = Some(waiting);
        }
        pushed
    }

    /// Whether a message of `cost` would have to wait for room.
    pub(crate) fn is_short_of(&self, cost: u64) -> bool {
        let mut state = self.lock();
        let short = cost <= self.size_bytes && !self.fits(&state, cost) && !state.closed;
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
                if state.closed {
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
                if state.closed && state.waiting.is_empty() {
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
        drop(state);
        self.left.notify_waiters();
        head
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
        self.left.notify_waiters();
    }

    /// Takes out everything.
    pub(crate) fn clear(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        state.sending = false;
        state.bytes = 0;
        let all = mem::take(&mut state.waiting).into();
        drop(state);
        self.left.notify_waiters();
        all
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    pub(crate) fn level(&self) -> Pressure {
        let state = self.lock();
        if (state.overflown && state.bytes > 0) || state.bytes * 10 >= self.size_bytes * 9 {
            Pressure::Full
        } else if state.bytes * 2 > self.size_bytes {
            Pressure::Some
        } else {
            Pressure::None
        }
    }

    fn fits(&self, state: &State, cost: u64) -> bool {
        state.bytes + state.reserved + cost <= self.size_bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
