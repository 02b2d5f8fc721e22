//! Clocks for tests: one that the test moves, and one that follows tokio's, which can be paused.

use std::sync::Mutex;
use std::time::Duration;

use tapetum_model::UnixNanos;
use tapetum_pipeline::{Clock, Now};

/// 2026-01-01 00:00:00 UTC: where both clocks begin.
pub const EPOCH: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

/// A clock that only moves when it is told to.
#[derive(Debug)]
pub struct Held(Mutex<Now>);

/// A clock that follows tokio's: under `start_paused` it stands still and jumps with the timers.
#[derive(Debug)]
pub struct Tokio(tokio::time::Instant);

impl Default for Held {
    fn default() -> Self {
        Self(Mutex::new(Now {
            unix: EPOCH,
            monotonic: Duration::ZERO,
        }))
    }
}

impl Held {
    /// Moves both times.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().expect("no test panics while it holds this");
        now.unix = now.unix.plus(by);
        now.monotonic += by;
    }

    /// Moves the wall clock only: a step, as after a correction of the time.
    pub fn step(&self, to: UnixNanos) {
        self.0
            .lock()
            .expect("no test panics while it holds this")
            .unix = to;
    }
}

impl Clock for Held {
    fn now(&self) -> Now {
        *self.0.lock().expect("no test panics while it holds this")
    }
}

impl Default for Tokio {
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for Tokio {
    fn now(&self) -> Now {
        let monotonic = self.0.elapsed();
        Now {
            unix: EPOCH.plus(monotonic),
            monotonic,
        }
    }
}
