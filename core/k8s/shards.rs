//! A map that is cheap to publish: writer and readers share all of it but what changed since.

use std::borrow::Borrow;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// How many parts a map has. A change copies one part: of 10 000 entries about 40.
const SHARDS: usize = 256;

type Shard<K, V> = Arc<HashTable<(K, V)>>;

/// Entries, in parts that are copied when they are changed while a snapshot holds them.
#[derive(Debug)]
pub(crate) struct Shards<K, V> {
    hasher: DefaultHashBuilder,
    shards: Arc<[Shard<K, V>]>,
}

impl<K, V> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self {
            hasher: self.hasher.clone(),
            shards: Arc::clone(&self.shards),
        }
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let empty = Arc::new(HashTable::new());
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: std::iter::repeat_n(empty, SHARDS).collect(),
        }
    }
}

impl<K: Hash + Eq, V> Shards<K, V> {
    #[inline]
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let found = self.shards[shard_of(hash)].find(hash, |(known, _)| known.borrow() == key);
        found.map(|(_, value)| value)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shards<K, V> {
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        self.shards[shard_of(hash)].find(hash, |(known, _)| known == key)?;
        let found = self.part(hash).find_mut(hash, |(known, _)| known == key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        let hasher = self.hasher.clone();
        let hash = hasher.hash_one(&key);
        let rehash = |(known, _): &(K, V)| hasher.hash_one(known);
        self.part(hash).insert_unique(hash, (key, value), rehash);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let hash = self.hasher.hash_one(key);
        if self.get(key).is_none() {
            return;
        }
        let hasher = self.hasher.clone();
        let part = self.part(hash);
        if let Ok(entry) = part.find_entry(hash, |(known, _)| known == key) {
            entry.remove();
        }
        let part = self.part(hash);
        if part.capacity() > 16 && part.len() < part.capacity() / 4 {
            part.shrink_to_fit(|(known, _)| hasher.hash_one(known));
        }
    }

    fn part(&mut self, hash: u64) -> &mut HashTable<(K, V)> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)])
    }
}

/// The table itself goes by the lowest and the highest bits.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_does_not_see_what_comes_after_it() {
        let mut map = Shards::default();
        for key in 0..1_000u32 {
            map.insert(key, key);
        }
        let before = map.clone();
        for key in 0..1_000 {
            if key % 2 == 0 {
                map.remove(&key);
            } else {
                map.insert(key, key + 1);
            }
        }
        let entries = |map: &Shards<u32, u32>| (0..1_000).filter_map(|key| map.get(&key)).count();
        assert_eq!((entries(&before), entries(&map)), (1_000, 500));
        assert_eq!((before.get(&7), map.get(&7)), (Some(&7), Some(&8)));
        assert_eq!((before.get(&8), map.get(&8)), (Some(&8), None));
    }
}
