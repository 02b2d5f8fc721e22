//! A bounded memory of what was used lately: what a cache forgets can be learnt again.

use std::borrow::Borrow;
use std::hash::Hash;

use hashbrown::HashMap;

/// Two generations of at most `room` entries: when the younger is full the older is dropped whole, so
/// nothing that is used is forgotten before `room` others were, and nothing needs a clock or a list.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    room: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    /// Holds at least the last `room` entries, at most twice as many.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// What is known of `key`; it stays known for longer.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.known(key).cloned()
    }

    /// The same, to be changed in its place.
    pub(crate) fn known<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// Learns it.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.room && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let mut recent = Recent::new(4);
        recent.insert(0, "used");
        for n in 1..1_000 {
            recent.insert(n, "passing");
            assert_eq!(recent.get(&0), Some("used"), "after {n}");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.get(&1), None);
    }
}
