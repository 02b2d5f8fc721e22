//! First rows that wait for the other end of their connection, in the order in which they came, each found
//! by its number: most are settled within a moment, many out of turn.

use std::collections::VecDeque;

use tapetum_probes::tcp::Row;

use crate::tcp::tracked::Slot;

/// A first row that waits, with the newest that the kernel said of it.
pub(super) struct Waiting {
    pub(super) slot: Slot,
    pub(super) row: Row,
    pub(super) closed: bool,
}

/// See the module. Numbers wrap: there are never as many rows as numbers.
#[derive(Default)]
pub(super) struct Queue {
    /// The number of the row at the front.
    first: u32,
    rows: VecDeque<Option<Waiting>>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The numbers of those that are in here now.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let first = self.first;
        (0..self.rows.len()).map(move |at| first.wrapping_add(at as u32))
    }

    /// One more; its number.
    pub(super) fn push(&mut self, one: Waiting) -> u32 {
        self.rows.push_back(Some(one));
        self.first.wrapping_add(self.rows.len() as u32 - 1)
    }

    pub(super) fn peek(&self, number: u32) -> Option<&Waiting> {
        self.rows.get(self.at(number))?.as_ref()
    }

    /// The row of this number, if it is of this connection.
    pub(super) fn peek_mut(&mut self, number: u32, slot: Slot) -> Option<&mut Waiting> {
        let at = self.at(number);
        let one = self.rows.get_mut(at)?.as_mut();
        one.filter(|one| one.slot == slot)
    }

    /// The same, taken out.
    pub(super) fn take(&mut self, number: u32, slot: Slot) -> Option<Waiting> {
        let at = self.at(number);
        let one = self.rows.get_mut(at)?.take_if(|one| one.slot == slot);
        while let Some(None) = self.rows.front() {
            self.rows.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        one
    }

    fn at(&self, number: u32) -> usize {
        number.wrapping_sub(self.first) as usize
    }
}
