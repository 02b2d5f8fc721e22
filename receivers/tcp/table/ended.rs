//! How a connection leaves the table: closed, failed, or lost sight of.

use tapetum_model::{EndReason, Flags};
use tapetum_probes::tcp::{Row, flags};

use super::{Table, probe_role};
use crate::tcp::row::{self, Ending, Reading};
use crate::tcp::tracked::{Slot, marks};

impl Table {
    pub(super) fn closed(&mut self, row: &Row) {
        if !row.attempted() || self.rules.exclude.drops(row, !row.has(flags::ANNOUNCED)) {
            return;
        }
        if !row.established() {
            self.failed(row);
            return;
        }
        let Some(slot) = self.find(row) else {
            // What was announced had no place in the table; its loss is counted already.
            if !row.has(flags::ANNOUNCED) {
                self.noticed.late_births += 1;
                self.closed_unseen(row);
            }
            return;
        };
        let tracked = &self.connections[slot];
        if tracked.is(marks::WAITING) {
            let number = tracked.waits;
            if tracked.is(marks::JOINED) && self.waiting.take(number, slot).is_some() {
                self.settle_birth(slot, row, true);
                return;
            }
            if let Some(one) = self.waiting.peek_mut(number, slot) {
                (one.row, one.closed) = (*row, true);
                return;
            }
            self.settle_now(slot);
        }
        let row = &row.assume(probe_role(self.connections[slot].role));
        let said = Flags::CLOSED | Flags::INACTIVE | Flags::SPAN | Flags::RTT;
        self.write_last(slot, &Reading::of(row), said, Ending::of(row));
    }

    /// The close is the first that is heard of it.
    fn closed_unseen(&mut self, row: &Row) {
        if !row.has(flags::ADOPTED) {
            self.born(row, true);
            return;
        }
        // When it was adopted is not known, so nothing can be said of its period.
        let Some(slot) = self.track(row, marks::ADOPTED, true) else {
            return;
        };
        let tracked = &mut self.connections[slot];
        tracked.base = row::counters(&row.assume(probe_role(tracked.role)));
        tracked.last = tracked.base;
        self.join(slot);
        let reading = Reading {
            at_ns: row.at_ns,
            ..Reading::known(&self.connections[slot])
        };
        let said = Flags::ADOPTED | Flags::CLOSED | Flags::SPAN;
        self.write_last(slot, &reading, said, Ending::of(row));
    }

    /// A connect that never was established.
    fn failed(&mut self, row: &Row) {
        let Some(slot) = self.track(row, 0, true) else {
            return;
        };
        self.ask(slot, row.netns_cookie);
        let ending = Ending::of(row);
        let said = if ending.error.is_some() {
            Flags::SPAN | Flags::FAILED
        } else {
            Flags::SPAN
        };
        self.write_last(slot, &Reading::of(row), said, ending);
    }

    /// Its close was not told: all that is known is when it was seen last.
    pub(super) fn lose(&mut self, slot: Slot) {
        if self.connections[slot].is(marks::WAITING) {
            self.settle_now(slot);
        }
        // What had closed while it waited is gone by now.
        if !self.connections.holds(slot) {
            return;
        }
        self.noticed.lost_closes += 1;
        let reading = Reading::known(&self.connections[slot]);
        let said = Flags::CLOSED | Flags::INACTIVE | Flags::SPAN;
        let ending = Ending {
            reason: EndReason::Unknown,
            error: None,
            reset_by: None,
        };
        self.write_last(slot, &reading, said, ending);
    }

    /// The last row of a connection, which is forgotten by it.
    pub(super) fn write_last(
        &mut self,
        slot: Slot,
        reading: &Reading,
        said: Flags,
        ending: Ending,
    ) {
        let Some(mut tracked) = self.connections.remove(slot) else {
            return;
        };
        if !tracked.is(marks::EXCLUDED) {
            let (ids, offset) = (&mut self.ids, self.offset);
            let mut row = row::write(&mut tracked, reading, said, Some(ending), ids, offset);
            row.local.entity = Some(tracked.entity);
            row.remote.entity = tracked.far;
            row.process = tracked.process;
            self.rows.push(row);
        }
    }
}
