//! How much memory the process has and may have, for components that decide by it; and the gate that such a
//! component closes before a pipeline.
//!
//! The engine looks, and only while somebody asks: a component does no I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::Pressure;

/// What the process has and may have; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<State>);

#[derive(Debug, Default)]
struct State {
    used_bytes: AtomicU64,
    limit_bytes: AtomicU64,
    asked: AtomicBool,
    /// Somebody wants it to become less.
    short: AtomicBool,
}

/// A pipeline's gate: closed, it lets in nothing of a sender that can come back.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    level: AtomicU8,
    after_ms: AtomicU64,
}

impl Memory {
    /// What the process has, as of some tenth of a second ago; 0 until that is known.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.asked.store(true, Ordering::Relaxed);
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// What it may have: `service.memory`, or less where the control group allows less.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes.load(Ordering::Relaxed)
    }

    /// Asks for what is free and not given back yet.
    pub fn is_short(&self, short: bool) {
        self.0.short.fetch_or(short, Ordering::Relaxed);
    }

    /// Says what it has. Of the engine, and of tests.
    pub fn set_used(&self, bytes: u64) {
        self.0.used_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Says what it may have. Of the engine, and of tests.
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether anybody has asked since the last time.
    pub(crate) fn was_asked(&self) -> bool {
        self.0.asked.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn was_short(&self) -> bool {
        self.0.short.swap(false, Ordering::Relaxed)
    }
}

impl Gate {
    /// Open at [`Pressure::None`]. Else peers are refused until `after`, and receivers that cannot wait are
    /// told how it stands.
    pub fn set(&self, level: Pressure, after: Duration) {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.0.after_ms.store(after, Ordering::Relaxed);
        self.0.level.store(level as u8, Ordering::Relaxed);
    }

    /// How it stands.
    #[must_use]
    pub fn level(&self) -> Pressure {
        match self.0.level.load(Ordering::Relaxed) {
            0 => Pressure::None,
            1 => Pressure::Some,
            _ => Pressure::Full,
        }
    }

    /// When who is refused may come back; `None`: nobody is.
    #[must_use]
    pub fn closed(&self) -> Option<Duration> {
        let after = Duration::from_millis(self.0.after_ms.load(Ordering::Relaxed));
        (self.level() != Pressure::None).then_some(after)
    }
}
