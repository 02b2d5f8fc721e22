//! A number of bytes that many share: taken as they are needed, given back when their holder is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all of them may take together.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    most: u64,
    taken: AtomicU64,
}

/// What one of them has taken.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self(Arc::new(State {
            most,
            taken: AtomicU64::new(0),
        }))
    }

    /// A share of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// What nobody has taken.
    pub(super) fn left(&self) -> u64 {
        let taken = self.0.taken.load(Ordering::Relaxed);
        self.0.most.saturating_sub(taken)
    }
}

impl Share {
    /// Takes `more`, or nothing where there is not so much.
    pub(super) fn take(&mut self, more: u64) -> bool {
        let State { most, taken } = &*self.budget.0;
        let grown = |taken: u64| taken.checked_add(more).filter(|sum| sum <= most);
        let fits = taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .is_ok();
        self.bytes += if fits { more } else { 0 };
        fits
    }

    /// What it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_and_never_more_than_there_is() {
        let budget = Budget::new(10);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.take(6) && !other.take(5) && other.take(4));
        assert!(!one.take(1) && !one.take(u64::MAX));
        assert_eq!((one.bytes(), other.bytes(), budget.left()), (6, 4, 0));
        drop(one);
        assert_eq!(budget.left(), 6);
    }
}
