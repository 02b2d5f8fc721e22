//! One watch a process for all who want the same.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Clock, Settings, Watch, WatchError};

/// The watches that run. Weak: who holds one keeps it running, and this list nobody.
static RUNNING: Mutex<Vec<(Settings, Weak<Watch>)>> = Mutex::new(Vec::new());

impl Watch {
    /// The running watch of these settings, or a new one. It ends when the last holder lets it go, so a
    /// graph that replaces another takes its watch over.
    ///
    /// # Errors
    /// As [`Watch::start`].
    pub fn shared(settings: &Settings, clock: Clock, seed: u64) -> Result<Arc<Self>, WatchError> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, watch)| watch.strong_count() > 0);
        let known = running.iter().find(|(known, _)| known == settings);
        if let Some(watch) = known.and_then(|(_, watch)| watch.upgrade()) {
            return Ok(watch);
        }
        let watch = Arc::new(Self::start(settings.clone(), clock, seed)?);
        running.push((settings.clone(), Arc::downgrade(&watch)));
        Ok(watch)
    }
}
