//! Which series an up-down counter was raised in, so that what is taken away is taken away there.
//!
//! A connection that is born while its far end has no name yet, or while the budget is used up, must
//! leave the series that it entered and no other: otherwise one drifts up and the other down.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, hash_map::Entry};
use tapetum_model::Metric;

/// What is held open, by whom it was opened.
pub(super) struct Held {
    hasher: DefaultHashBuilder,
    held: HashMap<u64, Share>,
    held_max: usize,
    /// What was opened beyond `held_max`: all of it in the series of the rest.
    beyond: HashMap<Metric, i64>,
}

#[derive(Clone, Copy)]
struct Share {
    slot: u32,
    amount: i32,
}

/// Where something is to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// In the series that it was added to.
    Slot(u32),
    /// In the series of the rest: it was not remembered.
    Rest,
    /// Nowhere: nothing of it was ever added here.
    Nobody,
}

impl Held {
    pub(super) fn new(held_max: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            held: HashMap::new(),
            held_max,
            beyond: HashMap::new(),
        }
    }

    /// Whether the next one can be remembered; if not it must go to the rest, see [`Held::beyond`].
    pub(super) fn has_room(&self) -> bool {
        self.held.len() < self.held_max
    }

    /// `amount` was added to `slot` by `identity`.
    pub(super) fn remember(&mut self, metric: Metric, identity: u64, slot: u32, amount: i64) {
        let amount = i32::try_from(amount).unwrap_or(i32::MAX);
        match self.held.entry(self.hasher.hash_one((metric, identity))) {
            Entry::Occupied(mut known) => {
                let share = known.get_mut();
                share.amount = share.amount.saturating_add(amount);
            }
            Entry::Vacant(place) => {
                place.insert(Share { slot, amount });
            }
        }
    }

    /// The series that `identity` already holds something in: more goes there too.
    pub(super) fn holder(&self, metric: Metric, identity: u64) -> Option<u32> {
        let share = self.held.get(&self.hasher.hash_one((metric, identity)))?;
        Some(share.slot)
    }

    /// `amount` was added to the series of the rest and is not remembered.
    pub(super) fn beyond(&mut self, metric: Metric, amount: i64) {
        *self.beyond.entry(metric).or_default() += amount;
    }

    /// Where `amount` is to be taken away, which is forgotten by that.
    pub(super) fn take(&mut self, metric: Metric, identity: u64, amount: i64) -> Holder {
        if let Entry::Occupied(mut known) =
            self.held.entry(self.hasher.hash_one((metric, identity)))
        {
            let share = known.get_mut();
            let slot = share.slot;
            share.amount = share
                .amount
                .saturating_sub(i32::try_from(amount).unwrap_or(i32::MAX));
            if share.amount <= 0 {
                known.remove();
            }
            return Holder::Slot(slot);
        }
        match self.beyond.get_mut(&metric) {
            Some(left) if *left >= amount => {
                *left -= amount;
                Holder::Rest
            }
            _ => Holder::Nobody,
        }
    }
}
