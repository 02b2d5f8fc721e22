//! The system's time.

use std::time::{Instant, SystemTime};

use tapetum_model::UnixNanos;

use crate::{Clock, Now};

/// The real clock: the wall's, and one that never steps.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        // A wall clock before 1970 is wrong anyway: the epoch says so.
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            unix: UnixNanos::default().plus(unix),
            monotonic: self.0.elapsed(),
        }
    }
}
