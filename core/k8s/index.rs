//! The place where the writer leaves snapshots and readers find them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tapetum_model::UnixNanos;

use crate::Snapshot;

/// How long addresses are believed in after the API server was last heard.
const BELIEVED: Duration = Duration::from_secs(300);

/// A reader's handle; clones read the same index.
#[derive(Clone, Debug, Default)]
pub struct Index {
    latest: Arc<ArcSwap<Snapshot>>,
}

/// How it stands with what the index knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Everything that there is was read once.
    pub synced: bool,
    /// Since when nothing is heard from the API server; `None`: it is heard, or never was.
    pub behind_since: Option<UnixNanos>,
}

impl Index {
    /// The latest snapshot, to be held for a batch.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.latest.load_full()
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.latest.store(Arc::new(snapshot));
    }
}

impl State {
    /// Whether so much can have happened before `then` that was not heard of that an address may be
    /// anybody's.
    pub(crate) fn distrusts(self, then: UnixNanos) -> bool {
        self.behind_since
            .is_some_and(|since| then > since.plus(BELIEVED))
    }
}
