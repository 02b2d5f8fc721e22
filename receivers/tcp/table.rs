//! The table of connections: kernel rows in, connection rows out. No I/O and no clock of its own: events
//! and moments are passed in, rows gather in [`Table::rows`].
//!
//! **First rows wait for the other end.** Where both ends are on this kernel, their births reach the ring
//! within the round trip of each other. A birth waits in here until its other end is known, or until its
//! handshake is [`WAIT_NS`] old; then its names are complete and the same in all of its rows. A
//! connection that closes while it waits leaves as one row.

mod born;
mod ended;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;

use tapetum_model::{Connection, Counters, Entity, Flags, Process, Role};
use tapetum_probes::tcp::{self as probe, Event, Row, SweepEnded, flags};

use self::waiting::Queue;
use super::clock::Offset;
use super::exclude::Exclude;
use super::ids::Ids;
use super::listeners::Listeners;
use super::row::{self, Reading};
use super::tracked::{Address, Connections, Slot, marks};
use crate::identity::{Names, Recent};

/// How long a first row waits for the other end of its connection: twice what a handshake through a few
/// namespaces of a busy machine takes, and little enough that a row is never 100 ms late.
pub(super) const WAIT_NS: u64 = 20_000_000;

/// Processes that are remembered at least, so that their connections share one name.
const PROCESSES_ROOM: usize = 2_048;

/// For so long after it served at an address, somebody lends its name to a connect that nobody accepts.
const SERVED_NS: u64 = 60_000_000_000;

/// Addresses at which somebody served that are remembered at least.
const SERVED_ROOM: usize = 2_048;

/// Asks who answers a connection from one address to another; `None`: the one that was asked for.
pub(super) type Answers = Box<dyn FnMut(SocketAddr, SocketAddr) -> Option<SocketAddr> + Send>;

/// What a table does not find out by itself.
pub(super) struct Rules {
    /// A longer connection sends a span each.
    pub(super) interval_ns: u64,
    /// Time between two sweeps: a span is sent by the sweep that is nearest to its interval.
    pub(super) sweep_ns: u64,
    /// Connections tracked at once.
    pub(super) connections_max: usize,
    pub(super) exclude: Exclude,
}

/// What was noticed since the last [`Table::noticed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// Connections that found no place here (the probe counts those that found none in the kernel).
    pub(super) over_limit: u64,
    /// Births that only a sweep or the close told.
    pub(super) late_births: u64,
    /// Closes that nobody told.
    pub(super) lost_closes: u64,
}

pub(super) struct Table {
    pub(super) rows: Vec<Connection>,
    pub(super) offset: Offset,
    pub(super) rules: Rules,
    connections: Connections,
    waiting: Queue,
    adopting: Vec<(Slot, u64)>,
    listeners: Listeners,
    names: Names,
    processes: Recent<(u32, [u8; 16]), Arc<Process>>,
    served: Recent<Address, Served>,
    ids: Ids,
    answers: Option<Answers>,
    noticed: Noticed,
}

/// Who served at an address of this host, and in which namespace; nobody, where several did.
#[derive(Clone)]
struct Served(Option<LastServed>);

/// See [`Served`].
#[derive(Clone)]
struct LastServed {
    netns: u64,
    who: Arc<Entity>,
    at_ns: u64,
}

impl Table {
    pub(super) fn new(rules: Rules, ids: Ids, names: Names, answers: Option<Answers>) -> Self {
        Self {
            rows: Vec::new(),
            offset: Offset::default(),
            rules,
            connections: Connections::default(),
            waiting: Queue::default(),
            adopting: Vec::new(),
            listeners: Listeners::default(),
            names,
            processes: Recent::new(PROCESSES_ROOM),
            served: Recent::new(SERVED_ROOM),
            ids,
            answers,
            noticed: Noticed::default(),
        }
    }

    /// Connections that are tracked now.
    pub(super) fn tracked(&self) -> usize {
        self.connections.len()
    }

    /// What was noticed since this was asked last.
    pub(super) fn noticed(&mut self) -> Noticed {
        std::mem::take(&mut self.noticed)
    }

    /// Whether first rows wait in here: then [`Table::settle`] is due soon.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.adopting.is_empty()
    }

    /// Takes in what the kernel says.
    pub(super) fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Opened(row) => self.opened(row),
            Event::Closed(row) => self.closed(row),
            Event::Adopted(row) => self.adopted(row),
            Event::Swept(row) => self.swept(row),
            Event::Unchanged { id, sweep, at_ns } => self.unchanged(id, sweep, at_ns),
            Event::Listening(row) => self.listening(row),
            Event::ListenerClosed(row) => self.listeners.gone(row.id),
            Event::SweepBegan { .. } => {}
            Event::SweepEnded(sweep) => self.sweep_ended(&sweep),
            Event::CgroupMade(made) => {
                let path = String::from_utf8_lossy(made.path);
                self.names.learn(made.hierarchy, made.id, &path);
            }
        }
    }

    /// Sends first rows that waited long enough at `now_ns`, in the order in which they came, until
    /// `most` rows have gathered. `false`: there is more to send.
    pub(super) fn settle(&mut self, now_ns: u64, most: usize) -> bool {
        while let Some((slot, netns)) = self.adopting.pop() {
            self.settle_adopted(slot, netns);
            if self.rows.len() >= most {
                return false;
            }
        }
        for number in self.waiting.numbers() {
            let Some(one) = self.waiting.peek(number) else {
                continue;
            };
            let slot = one.slot;
            let known = self.connections[slot].is(marks::JOINED);
            let old = one.row.established_ns.saturating_add(WAIT_NS) <= now_ns;
            if !(known || old) {
                continue;
            }
            if let Some(one) = self.waiting.take(number, slot) {
                self.settle_birth(slot, &one.row, one.closed);
            }
            if self.rows.len() >= most {
                return self.waiting.is_empty();
            }
        }
        true
    }

    /// The agent stops: every period so far becomes a span. Until `most` rows have gathered; `true`: all
    /// is said.
    pub(super) fn stop(&mut self, most: usize) -> bool {
        let slots: Vec<Slot> = self.connections.slots().collect();
        for slot in slots {
            if self.rows.len() >= most {
                return false;
            }
            let reading = Reading::known(&self.connections[slot]);
            if reading.counters != self.connections[slot].base {
                self.write(slot, &reading, Flags::SPAN);
            }
            self.connections.remove(slot);
        }
        true
    }

    fn swept(&mut self, row: &Row) {
        if !row.established() {
            return;
        }
        let Some(slot) = self.find(row) else {
            let first = !row.has(flags::ANNOUNCED);
            if self.rules.exclude.drops(row, first) {
                return;
            }
            self.noticed.late_births += 1;
            if row.has(flags::ADOPTED) {
                self.adopt(row);
            } else {
                self.born(row, false);
            }
            return;
        };
        if self.connections[slot].is(marks::WAITING) {
            self.settle_now(slot);
        }
        let row = &row.assume(probe_role(self.connections[slot].role));
        let reading = Reading::of(row);
        let tracked = &mut self.connections[slot];
        tracked.sweep = row.sweep;
        tracked.seen_ns = row.at_ns;
        let moved = reading.counters.since(&tracked.last);
        let moved_in_period = reading.counters.since(&tracked.base) != Counters::default();
        let age_ns = row.at_ns.saturating_sub(tracked.started_ns);
        let due = age_ns.saturating_add(self.rules.sweep_ns / 2) >= self.rules.interval_ns;
        let mut said = Flags::default();
        if moved.bytes_sent > 0 || moved.bytes_received > 0 {
            said |= Flags::RTT;
        }
        if due && moved_in_period {
            said |= Flags::SPAN;
        } else if due {
            tracked.started_ns = row.at_ns;
        }
        if moved != Counters::default() || said.has(Flags::SPAN) {
            self.write(slot, &reading, said);
        }
    }

    /// As [`Table::swept`], with a row that would say what the last one said.
    fn unchanged(&mut self, id: u64, sweep: u32, at_ns: u64) {
        let Some(slot) = self.connections.by_cookie(id) else {
            return;
        };
        if self.connections[slot].is(marks::WAITING) {
            self.settle_now(slot);
        }
        // It can come after the close, and that can have waited too.
        if !self.connections.holds(slot) {
            return;
        }
        let tracked = &mut self.connections[slot];
        (tracked.sweep, tracked.seen_ns) = (sweep, at_ns);
        let age_ns = at_ns.saturating_sub(tracked.started_ns);
        if age_ns.saturating_add(self.rules.sweep_ns / 2) < self.rules.interval_ns {
            return;
        }
        if tracked.last.since(&tracked.base) == Counters::default() {
            tracked.started_ns = at_ns;
            return;
        }
        let reading = Reading::known(tracked);
        self.write(slot, &reading, Flags::SPAN);
    }

    fn sweep_ended(&mut self, sweep: &SweepEnded) {
        if sweep.lost > 0 {
            return;
        }
        self.listeners.swept(sweep.sweep, sweep.began_ns);
        let absent = |slot: &Slot| {
            let tracked = &self.connections[*slot];
            tracked.sweep != sweep.sweep
                && tracked.seen_ns < sweep.began_ns
                && !tracked.is(marks::WAITING)
        };
        let lost: Vec<Slot> = self.connections.slots().filter(absent).collect();
        for slot in lost {
            self.lose(slot);
        }
    }

    /// The connection that a row is of. A socket can connect again: then its earlier connection is over.
    fn find(&mut self, row: &Row) -> Option<Slot> {
        let slot = self.connections.by_cookie(row.id)?;
        if self.connections[slot].born_ns == row.born_ns {
            return Some(slot);
        }
        self.lose(slot);
        None
    }

    fn write(&mut self, slot: Slot, reading: &Reading, said: Flags) {
        let tracked = &mut self.connections[slot];
        if !tracked.is(marks::EXCLUDED) {
            let mut row = row::write(tracked, reading, said, None, &mut self.ids, self.offset);
            row.local.entity = Some(Arc::clone(&tracked.entity));
            row.remote.entity.clone_from(&tracked.far);
            row.process.clone_from(&tracked.process);
            self.rows.push(row);
        }
    }
}

fn probe_role(role: Role) -> probe::Role {
    match role {
        Role::Client => probe::Role::Client,
        Role::Server => probe::Role::Server,
    }
}
