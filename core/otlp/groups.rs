//! Which rows of a batch are spans, and which of them have the same near entity: one resource each.

use std::sync::Arc;

use tapetum_model::{Connections, Entity};

const NONE: u32 = u32::MAX;

/// The spans of each near entity, as chains through the batch. Reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// The next row of the same group, by row.
    next: Vec<u32>,
    /// Open addressing: the group of an entity.
    slots: Vec<u32>,
    spans: usize,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    entity: usize,
    first: u32,
    last: u32,
    spans: u32,
}

/// The spans of one group, in the order of the batch.
#[derive(Clone, Debug)]
pub(crate) struct Chain<'a> {
    next: &'a [u32],
    at: u32,
}

impl Groups {
    /// Finds the groups of a batch.
    pub(crate) fn find(&mut self, rows: &Connections) {
        self.groups.clear();
        self.slots.fill(NONE);
        self.next.clear();
        self.next.resize(rows.len(), NONE);
        self.spans = 0;
        let mut last = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            if !rows.is_span(at) {
                continue;
            }
            self.spans += 1;
            let entity = identity(row.local.entity.as_ref());
            if self.groups.is_empty() || last.0 != entity {
                last = (entity, self.group(entity));
            }
            let group = &mut self.groups[last.1];
            if group.spans == 0 {
                group.first = at as u32;
            } else {
                self.next[group.last as usize] = at as u32;
            }
            group.last = at as u32;
            group.spans += 1;
        }
    }

    /// How many rows are spans.
    pub(crate) fn spans(&self) -> usize {
        self.spans
    }

    /// Each group: how many spans it has, and which.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Chain<'_>)> {
        self.groups.iter().map(|group| {
            let chain = Chain {
                next: &self.next,
                at: group.first,
            };
            (group.spans as usize, chain)
        })
    }

    fn group(&mut self, entity: usize) -> usize {
        if (self.groups.len() + 1) * 2 > self.slots.len() {
            self.widen();
        }
        let slot = self.slot(entity);
        if self.slots[slot] == NONE {
            self.slots[slot] = self.groups.len() as u32;
            self.groups.push(Group {
                entity,
                first: NONE,
                last: NONE,
                spans: 0,
            });
        }
        self.slots[slot] as usize
    }

    fn widen(&mut self) {
        let slots = (self.slots.len() * 2).max(64);
        self.slots.clear();
        self.slots.resize(slots, NONE);
        for at in 0..self.groups.len() {
            let slot = self.slot(self.groups[at].entity);
            self.slots[slot] = at as u32;
        }
    }

    /// Where an entity is, or where it would be.
    fn slot(&self, entity: usize) -> usize {
        let mask = self.slots.len() - 1;
        let mixed = (entity as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (mixed >> 32) as usize & mask;
        while let Some(group) = self.groups.get(self.slots[slot] as usize) {
            if group.entity == entity {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

impl Iterator for Chain<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.at as usize;
        self.at = *self.next.get(at)?;
        Some(at)
    }
}

fn identity(entity: Option<&Arc<Entity>>) -> usize {
    entity.map_or(0, |entity| Arc::as_ptr(entity) as usize)
}
