//! Rows whose ends the cluster does not know yet: they wait for a bounded time, and no two of one
//! connection change places.
//!
//! What is waited for is an end, not a row: each end is waited for once, from the first row that has it, and
//! all of its rows leave together, named or not. A row of a connection of which an earlier one waits waits
//! behind that, whatever its own ends are.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use tapetum_model::{Batch, Entity, Loss, Origin, Payload, Records, Window};

/// Rows that wait at once; beyond, all that wait leave.
pub(super) const ROWS_MAX: usize = 8_192;
/// Ends of which is remembered that they are waited for, or were in vain.
const ENDS_MAX: usize = 8_192;
/// What it takes at most: rows of about 700 bytes with all that they pin.
pub(super) const BOUND_BYTES: u64 = 1_024 * ROWS_MAX as u64 + 64 * ENDS_MAX as u64;
/// So long after it was waited for in vain an end is not waited for again.
const GIVEN_UP_FOR: Duration = Duration::from_secs(600);

/// An end that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// Of this host, by its entity's pointer.
    Near(usize),
    /// By its address.
    Far(IpAddr),
}

#[derive(Clone, Copy, Debug)]
enum Since {
    /// Until then.
    Waits(Duration),
    /// It is not waited for until then.
    GivenUp(Duration),
}

/// Rows of one batch that wait.
#[derive(Debug)]
struct Held {
    records: Records,
    window: Window,
    origin: Origin,
}

impl End {
    pub(super) fn near(entity: &Arc<Entity>) -> Self {
        Self::Near(Arc::as_ptr(entity) as usize)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    ends: HashMap<End, Since>,
    held: VecDeque<Held>,
    /// Of the rows that wait.
    identities: HashSet<u64>,
    rows: usize,
    /// When the first end is given up.
    next: Option<Duration>,
}

impl Waiting {
    /// Whether any row waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether the time of an end that is waited for is over.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.rows > 0 && self.next.is_some_and(|next| next <= now)
    }

    /// Whether an end that is not known is to be waited for; `until`: how long, if it is new, and `None`
    /// if new ones are not.
    pub(super) fn waits(&mut self, end: End, now: Duration, until: Option<Duration>) -> bool {
        match self.ends.get_mut(&end) {
            Some(Since::Waits(until)) if now < *until => return true,
            Some(since @ Since::Waits(_)) => {
                *since = Since::GivenUp(now + GIVEN_UP_FOR);
                return false;
            }
            Some(Since::GivenUp(until)) if now < *until => return false,
            _ => {}
        }
        let Some(until) = until.filter(|until| now < *until) else {
            return false;
        };
        if self.ends.len() >= ENDS_MAX {
            self.ends
                .retain(|_, since| matches!(since, Since::Waits(until) if now < *until));
        }
        if self.ends.len() >= ENDS_MAX {
            return false;
        }
        self.ends.insert(end, Since::Waits(until));
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
        true
    }

    /// Whether an earlier row of the same connection waits.
    pub(super) fn waits_behind(&self, identity: u64) -> bool {
        self.rows > 0 && self.identities.contains(&identity)
    }

    /// Keeps rows of a batch.
    pub(super) fn hold(&mut self, records: Records, of: &Batch) {
        let rows = records.as_rows();
        let identities = (0..rows.rows()).map(|row| rows.identity(row));
        self.identities.extend(identities);
        self.rows += rows.rows();
        self.held.push_back(Held {
            records,
            window: of.window,
            origin: of.origin,
        });
    }

    /// Whether more wait than may.
    pub(super) fn is_full(&self) -> bool {
        self.rows > ROWS_MAX
    }

    /// Nothing that waits now is waited for any longer.
    pub(super) fn give_up(&mut self, now: Duration) {
        for since in self.ends.values_mut() {
            if matches!(since, Since::Waits(_)) {
                *since = Since::GivenUp(now + GIVEN_UP_FOR);
            }
        }
    }

    /// Forgets the ends that `keep` does not keep.
    pub(super) fn forget(&mut self, mut keep: impl FnMut(&End) -> bool) {
        self.ends.retain(|end, _| keep(end));
    }

    /// Lets go what `stays` does not keep, in order. It is asked once a row and may change the row.
    pub(super) fn release(
        &mut self,
        now: Duration,
        mut stays: impl FnMut(&mut Self, &mut Records, usize) -> bool,
    ) -> Vec<Batch> {
        let mut released = Vec::new();
        self.identities.clear();
        for mut held in std::mem::take(&mut self.held) {
            let rows = held.records.as_rows().rows();
            let mut stay = Vec::with_capacity(rows);
            for row in 0..rows {
                let identity = held.records.as_rows().identity(row);
                let behind = self.identities.contains(&identity);
                let staying = behind || stays(self, &mut held.records, row);
                if staying {
                    self.identities.insert(identity);
                }
                stay.push(staying);
            }
            let gone = held.records.as_rows_mut().take(&mut |row| !stay[row]);
            if gone.as_rows().rows() > 0 {
                released.push(Batch {
                    payload: Payload::Records(gone),
                    window: held.window,
                    loss: Loss::default(),
                    origin: held.origin,
                });
            }
            if held.records.as_rows().rows() > 0 {
                self.held.push_back(held);
            }
        }
        let left = self.held.iter().map(|held| held.records.as_rows().rows());
        self.rows = left.sum();
        if self.rows == 0 {
            self.ends
                .retain(|_, since| matches!(since, Since::GivenUp(until) if now < *until));
        }
        let still = self.ends.values().filter_map(|since| match since {
            Since::Waits(until) if now < *until => Some(*until),
            _ => None,
        });
        self.next = still.min();
        released
    }
}
