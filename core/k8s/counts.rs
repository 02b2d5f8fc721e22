//! What the watch did, for the telemetry of whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Kind;

/// Counters of a watch. They only grow, but for the gauges.
#[derive(Debug, Default)]
pub struct Counts {
    requests: AtomicU64,
    failures: AtomicU64,
    received_bytes: AtomicU64,
    events: AtomicU64,
    lists: AtomicU64,
    restarts: AtomicU64,
    unreadable: AtomicU64,
    unresolved: AtomicU64,
    objects: [AtomicU64; Kind::ALL.len()],
}

/// What the counters were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests to the API server.
    pub requests: u64,
    /// Requests that failed, or were refused.
    pub failures: u64,
    /// Bytes of answers.
    pub received_bytes: u64,
    /// Changes of objects that came by a watch.
    pub events: u64,
    /// Whole lists that were begun: one a kind, and one more for each time that a watch could not go on.
    pub lists: u64,
    /// Watches that were begun anew after one ended.
    pub restarts: u64,
    /// Objects that could not be read and were passed over.
    pub unreadable: u64,
    /// Pods whose controllers are not all known, because the API server did not say in time.
    pub unresolved: u64,
    /// Gauges: objects known, in the order of [`Kind::ALL`].
    pub objects: [u64; Kind::ALL.len()],
}

impl Counted {
    /// What was counted since `before`; the gauges stay what they are.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            failures: self.failures - before.failures,
            received_bytes: self.received_bytes - before.received_bytes,
            events: self.events - before.events,
            lists: self.lists - before.lists,
            restarts: self.restarts - before.restarts,
            unreadable: self.unreadable - before.unreadable,
            unresolved: self.unresolved - before.unresolved,
            objects: self.objects,
        }
    }
}

impl Counts {
    /// The counters of now.
    #[must_use]
    pub fn read(&self) -> Counted {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            requests: load(&self.requests),
            failures: load(&self.failures),
            received_bytes: load(&self.received_bytes),
            events: load(&self.events),
            lists: load(&self.lists),
            restarts: load(&self.restarts),
            unreadable: load(&self.unreadable),
            unresolved: load(&self.unresolved),
            objects: self.objects.each_ref().map(load),
        }
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unresolved(&self) {
        self.unresolved.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn objects(&self, objects: [u64; Kind::ALL.len()]) {
        for (gauge, value) in self.objects.iter().zip(objects) {
            gauge.store(value, Ordering::Relaxed);
        }
    }
}
