//! Shows a watcher what passes between two components, live.
//!
//! It costs nothing where nobody watches: one look at a number a batch. A watcher gets a sample of each batch and no more than it
//! reads: what it is too slow for it misses, and is told how much that was. Nothing waits for a watcher.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapetum_model::{Batch, Flags, Payload, Records};
use tokio::sync::mpsc;

/// More at once would be somebody's mistake.
pub const WATCHERS_MAX: usize = 4;
/// How many items of a batch are shown.
pub const SAMPLE_ITEMS: usize = 20;
/// How many batches a watcher may be behind.
const BEHIND_MAX: usize = 16;

/// The way from one component to the next, in one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Which pipeline.
    pub pipeline: Arc<str>,
    /// Where it comes from.
    pub from: Arc<str>,
    /// Where it goes.
    pub to: Arc<str>,
}

/// A batch that passed.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// Where.
    pub edge: Edge,
    /// How many items it had.
    pub items: u64,
    /// Some of them; of OTLP all.
    pub sample: Batch,
    /// How many batches were missed before it.
    pub missed: u64,
}

/// Who watches what.
#[derive(Default)]
pub(crate) struct Taps {
    watching: AtomicUsize,
    watchers: Mutex<Vec<Arc<Watcher>>>,
}

struct Watcher {
    wanted: Wanted,
    to: mpsc::Sender<Tapped>,
    missed: AtomicU64,
}

/// `from->to`, in one pipeline or in any: `pipeline:from->to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pipeline: Option<String>,
    from: String,
    to: String,
}

/// A watcher's end: dropping it ends the watch.
pub(crate) struct Watch {
    taps: Arc<Taps>,
    watcher: Arc<Watcher>,
    pub(crate) tapped: mpsc::Receiver<Tapped>,
}

impl std::fmt::Display for Edge {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}:{}->{}", self.pipeline, self.from, self.to)
    }
}

impl Wanted {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("->")?;
        let (pipeline, from) = match from.split_once(':') {
            Some((pipeline, from)) => (Some(pipeline.to_owned()), from),
            None => (None, from),
        };
        let part = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        Some(Self {
            pipeline,
            from: part(from)?,
            to: part(to)?,
        })
    }

    pub(crate) fn is(&self, edge: &Edge) -> bool {
        let of_pipeline = self
            .pipeline
            .as_deref()
            .is_none_or(|name| name == &*edge.pipeline);
        of_pipeline && *self.from == *edge.from && *self.to == *edge.to
    }
}

impl Taps {
    /// Begins to watch; `None`: there are as many watchers as there may be.
    pub(crate) fn watch(self: &Arc<Self>, wanted: Wanted) -> Option<Watch> {
        let mut watchers = self.lock();
        if watchers.len() >= WATCHERS_MAX {
            return None;
        }
        let (to, tapped) = mpsc::channel(BEHIND_MAX);
        let watcher = Arc::new(Watcher {
            wanted,
            to,
            missed: AtomicU64::new(0),
        });
        watchers.push(Arc::clone(&watcher));
        self.watching.store(watchers.len(), Ordering::Relaxed);
        Some(Watch {
            taps: Arc::clone(self),
            watcher,
            tapped,
        })
    }

    /// Whether anybody watches anything.
    pub(crate) fn are_watched(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Shows what passes to who watches there.
    pub(crate) fn show(&self, pipeline: &Arc<str>, from: &str, to: &str, batches: &[Batch]) {
        if !self.are_watched() {
            return;
        }
        let watchers = self.lock();
        for watcher in watchers.iter() {
            let edge = Edge {
                pipeline: Arc::clone(pipeline),
                from: from.into(),
                to: to.into(),
            };
            if watcher.wanted.is(&edge) {
                batches.iter().for_each(|batch| watcher.show(&edge, batch));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Watcher>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    fn show(&self, edge: &Edge, batch: &Batch) {
        // Room first: nothing is copied for who cannot take it.
        match self.to.try_reserve() {
            Ok(place) => place.send(Tapped {
                edge: edge.clone(),
                items: batch.items(),
                sample: sample(batch),
                missed: self.missed.swap(0, Ordering::Relaxed),
            }),
            Err(_) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.taps.lock();
        watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        self.taps.watching.store(watchers.len(), Ordering::Relaxed);
    }
}

/// The first items; bytes are shared, not copied.
fn sample(batch: &Batch) -> Batch {
    let payload = match &batch.payload {
        Payload::Records(Records::Connections(rows)) => {
            let some = rows.iter().enumerate().take(SAMPLE_ITEMS);
            let some = some.map(|(at, row)| {
                let mut row = row.clone();
                if !rows.is_span(at) {
                    row.flags = row.flags.without(Flags::SPAN);
                }
                row
            });
            let some: Vec<_> = some.collect();
            Payload::Records(Records::Connections(some.into()))
        }
        Payload::Points(points) => {
            Payload::Points(points.iter().take(SAMPLE_ITEMS).cloned().collect())
        }
        Payload::Otlp(otlp) => Payload::Otlp(otlp.clone()),
    };
    Batch { payload, ..*batch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_named_with_or_without_its_pipeline() {
        let edge = Edge {
            pipeline: "main".into(),
            from: "tcp".into(),
            to: "otlp/archive".into(),
        };
        assert_eq!(edge.to_string(), "main:tcp->otlp/archive");
        let is = |text: &str| Wanted::parse(text).is_some_and(|wanted| wanted.is(&edge));
        assert!(is("tcp->otlp/archive") && is("main:tcp -> otlp/archive"));
        assert!(!is("other:tcp->otlp/archive") && !is("tcp->otlp") && !is("tcp") && !is("->a"));
    }
}
