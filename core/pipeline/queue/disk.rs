//! What a queue's keeper asks and tells: what the disk should do next, and what came of it. Without I/O, so
//! that whatever happens to a disk can be told to it.

use std::mem;

use tapetum_model::Loss;
use tapetum_spool::{Loaded, Position};

use super::tier::{Group, Job, Place};
use super::{OVERHEAD_BYTES, Queue, Receipt, State, Waiting};
use crate::Encoded;

impl Queue {
    /// What the disk should do now; `may_write`: it is believed to be able to.
    pub(super) fn job(&self, may_write: bool, may_settle: bool) -> Option<Job> {
        let mut state = self.lock();
        let State {
            waiting,
            bytes,
            tier,
            ..
        } = &mut *state;
        let tier = tier.as_mut().filter(|tier| tier.opened)?;
        let room = tier.half_bytes.saturating_sub(*bytes);
        let is_low = room >= tier.half_bytes / 2 && room >= tier.next_bytes;
        if tier.stored > 0 && (is_low || waiting.is_empty()) {
            return Some(Job::Load {
                room,
                at_least_one: waiting.is_empty(),
            });
        }
        if !may_write {
            return None;
        }
        // First, because it makes room: a full disk takes nothing before.
        if let Some(settled) = tier.settled.filter(|_| may_settle) {
            return Some(Job::Settle(settled));
        }
        tier.unwritten(waiting).map(Job::Write)
    }

    /// What was found on the disk. What came meanwhile and waits in memory is before it, and is not written
    /// any more: the order on the disk would be another.
    pub(super) fn opened(&self, stored: u64, used_bytes: u64) {
        let mut state = self.lock();
        let State { waiting, tier, .. } = &mut *state;
        let Some(tier) = tier else { return };
        (tier.opened, tier.degraded) = (true, false);
        (tier.stored, tier.used_bytes) = (stored, used_bytes);
        if stored > 0 {
            for one in waiting {
                if matches!(one.place, Place::Unwritten(_)) {
                    tier.unwritten_bytes -= one.message.cost_bytes();
                    one.place = Place::Memory;
                    one.receipt = Receipt::default();
                }
            }
        }
        state.shift();
        drop(state);
        self.changed();
    }

    /// The messages of a group are on the disk, each up to its position.
    pub(super) fn written(&self, group: &Group, ends: &[Position], used_bytes: u64) {
        let mut state = self.lock();
        let State { waiting, tier, .. } = &mut *state;
        let Some(tier) = tier else { return };
        tier.writing = 0;
        tier.used_bytes = used_bytes;
        tier.degraded = false;
        let mut at = waiting
            .iter()
            .position(|one| matches!(one.place, Place::Unwritten(_)))
            .unwrap_or(waiting.len());
        let mut safe = Vec::new();
        for (one, end) in group.messages.iter().zip(ends) {
            let place = Place::Unwritten(one.number);
            let next = waiting.get_mut(at).filter(|next| next.place == place);
            if let Some(next) = next {
                next.place = Place::Disk(*end);
                safe.push(mem::take(&mut next.receipt));
                tier.unwritten_bytes -= next.message.cost_bytes();
                at += 1;
            } else if tier.behind.front().is_some_and(|next| next.place == place) {
                let gone = tier.behind.pop_front();
                let cost = gone.as_ref().map_or(0, |gone| gone.message.cost_bytes());
                tier.behind_bytes -= cost;
                tier.unwritten_bytes -= cost;
                tier.stored += 1;
                safe.extend(gone.map(|gone| gone.receipt));
            } else if at == 0 {
                // It was sent meanwhile, and so was everything before it.
                tier.settled = tier.settled.max(Some(*end));
            }
        }
        state.shift();
        drop(state);
        drop(safe);
        self.changed();
    }

    /// A group could not be written: nobody waits for it any more, and it is tried again.
    pub(super) fn degraded(&self) {
        let mut state = self.lock();
        let State { waiting, tier, .. } = &mut *state;
        let Some(tier) = tier else { return };
        (tier.degraded, tier.writing) = (true, 0);
        let all = waiting.iter_mut().chain(&mut tier.behind);
        let released: Vec<Receipt> = all.map(|one| mem::take(&mut one.receipt)).collect();
        state.shift();
        drop(state);
        drop(released);
        self.changed();
    }

    /// The disk is well again.
    pub(super) fn recovered(&self) {
        if let Some(tier) = &mut self.lock().tier {
            tier.degraded = false;
        }
    }

    /// Takes in what was read. `unread`: messages that are still on the disk only.
    pub(super) fn loaded(&self, loaded: Loaded, unread: u64) {
        let mut state = self.lock();
        let next_bytes = loaded.next_bytes;
        for stored in loaded.messages {
            let waiting = Waiting::of(stored);
            state.bytes += waiting.message.cost_bytes();
            state.waiting.push_back(waiting);
        }
        if let Some(tier) = &mut state.tier {
            tier.stored = unread;
            tier.next_bytes = match next_bytes {
                0 => 0,
                body => body + OVERHEAD_BYTES,
            };
        }
        state.shift();
        drop(state);
        self.changed();
    }

    /// Everything up to there is noted as delivered.
    pub(super) fn settled(&self, position: Position, used_bytes: u64) {
        let mut state = self.lock();
        if let Some(tier) = &mut state.tier {
            tier.settled = tier.settled.filter(|later| *later > position);
            tier.used_bytes = used_bytes;
        }
        drop(state);
        self.left.notify_waiters();
    }

    /// A segment was thrown away, and all before it: what is in memory of it is in memory only.
    pub(super) fn dropped(&self, segment: u64, unread: u64) {
        let mut state = self.lock();
        let State { waiting, tier, .. } = &mut *state;
        for one in waiting {
            if matches!(one.place, Place::Disk(at) if at.segment <= segment) {
                one.place = Place::Memory;
            }
        }
        if let Some(tier) = tier {
            tier.stored = unread;
        }
    }

    /// What is on its way to the disk; `None`: nothing.
    pub(super) fn unwritten(&self) -> Option<Group> {
        let mut state = self.lock();
        let State { waiting, tier, .. } = &mut *state;
        tier.as_mut()?.unwritten(waiting)
    }

    /// Up to where everything was delivered, if that is not noted yet.
    pub(super) fn to_settle(&self) -> Option<Position> {
        self.lock().tier.as_ref()?.settled
    }

    /// What a stop has to write before what is on the disk: all that waits in memory, if some of it is
    /// nowhere else.
    pub(super) fn to_keep(&self) -> Vec<(Encoded, Loss)> {
        let state = self.lock();
        let is_kept = |one: &Waiting| one.place.is_on_disk();
        if state.waiting.iter().all(is_kept) {
            return Vec::new();
        }
        let all = state.waiting.iter();
        all.map(|one| (one.message.clone(), one.loss)).collect()
    }

    /// How many items wait in memory and are on the disk too.
    pub(super) fn items_on_disk(&self) -> u64 {
        let state = self.lock();
        let on_disk = state.waiting.iter().filter(|one| one.place.is_on_disk());
        on_disk.map(|one| one.message.items).sum()
    }

    /// It was written: nothing of it is in memory only.
    pub(super) fn kept(&self) {
        let mut state = self.lock();
        (state.sending, state.bytes) = (false, 0);
        state.waiting.clear();
    }

    fn changed(&self) {
        self.came.notify_one();
        self.left.notify_waiters();
    }
}
