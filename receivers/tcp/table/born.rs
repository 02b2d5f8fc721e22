//! How a connection enters the table: who it is, which end, and who is at the other one.

use std::sync::Arc;

use tapetum_model::{Counters, Entity, Flags, Process, Role};
use tapetum_probes::tcp::{self as probe, Row, flags};

use super::waiting::Waiting;
use super::{LastServed, SERVED_NS, Served, Table, probe_role};
use crate::identity::Creator;
use crate::tcp::ids::Isns;
use crate::tcp::listeners::Who;
use crate::tcp::row::{self, Ending, Reading};
use crate::tcp::tracked::{Address, Slot, Tracked, marks};

impl Table {
    pub(super) fn opened(&mut self, row: &Row) {
        if self.rules.exclude.drops(row, true) {
            return;
        }
        match self.find(row) {
            Some(_) => {}
            None => self.born(row, false),
        }
    }

    /// A connection that was not known. It waits for its other end.
    pub(super) fn born(&mut self, row: &Row, closed: bool) {
        let Some(slot) = self.track(row, 0, closed) else {
            return;
        };
        let number = self.waiting.push(Waiting {
            slot,
            row: *row,
            closed,
        });
        let tracked = &mut self.connections[slot];
        (tracked.marks, tracked.waits) = (tracked.marks | marks::WAITING, number);
        self.join(slot);
    }

    pub(super) fn adopted(&mut self, row: &Row) {
        // A connect that is still trying says more when it is through.
        if !row.established() || self.rules.exclude.drops(row, true) || self.find(row).is_some() {
            return;
        }
        self.adopt(row);
    }

    pub(super) fn adopt(&mut self, row: &Row) {
        let Some(slot) = self.track(row, marks::ADOPTED, false) else {
            return;
        };
        let tracked = &mut self.connections[slot];
        tracked.marks |= marks::WAITING;
        tracked.base = row::counters(&row.assume(probe_role(tracked.role)));
        tracked.last = tracked.base;
        self.join(slot);
        self.adopting.push((slot, row.netns_cookie));
    }

    /// Finds a place for a connection; a `brief` one that is over already gets one in any case.
    pub(super) fn track(&mut self, row: &Row, mark: u8, brief: bool) -> Option<Slot> {
        if !brief && self.connections.len() >= self.rules.connections_max {
            self.noticed.over_limit += 1;
            return None;
        }
        let role = self.role(row);
        let undecided = row.role() == probe::Role::Unknown && role == Role::Client;
        let row = &row.assume(probe_role(role));
        // Both ends sent a SYN: the lower number is the client's, by a rule that both ends know.
        let crossed = row.has(flags::CROSSED | flags::ISN) && row.isn_own > row.isn_peer;
        let role = if crossed { Role::Server } else { role };
        let (mark, isns) = if row.has(flags::ISN) {
            (mark | marks::ISNS, row::isns(row, role))
        } else {
            (mark, self.ids.stand_in(row.id, row.born_ns))
        };
        let undecided = if undecided { marks::UNDECIDED } else { 0 };
        let (entity, process) = self.inherited(row).unwrap_or_else(|| self.creator(row));
        // Whoever calls itself so in a pod only hides.
        let suspect = if self.rules.exclude.suspects(row) && !row::in_a_pod(&entity) {
            marks::KUBELET
        } else {
            0
        };
        Some(self.connections.insert(Tracked {
            cookie: row.id,
            born_ns: row.born_ns,
            started_ns: row.born_ns,
            seen_ns: row.at_ns,
            last: Counters::default(),
            base: Counters::default(),
            local: Address::from(row.local()),
            remote: Address::from(row.peer()),
            answered_by: None,
            entity,
            far: None,
            process,
            isns,
            handshake_us: row.handshake_us,
            rtt_us: [row.srtt_us, row.min_rtt_us, row.rttvar_us],
            spans: 0,
            sweep: row.sweep,
            waits: 0,
            role,
            marks: mark | suspect | undecided,
        }))
    }

    /// Which end a row is. Where its counters do not tell, the server is who is listened for.
    pub(super) fn role(&self, row: &Row) -> Role {
        match row.role() {
            probe::Role::Client => Role::Client,
            probe::Role::Server => Role::Server,
            probe::Role::Unknown if self.listeners.accepts(row.netns_cookie, row.local()) => {
                Role::Server
            }
            probe::Role::Unknown => Role::Client,
        }
    }

    /// Of a server's end that has no process of its own: who listens there.
    fn inherited(&self, row: &Row) -> Option<(Arc<Entity>, Option<Arc<Process>>)> {
        if row.pid != 0 || row.role() != probe::Role::Server {
            return None;
        }
        let (entity, heir) = self.listeners.heir(row.netns_cookie, row.local())?;
        Some((Arc::clone(entity), Some(Arc::clone(heir))))
    }

    pub(super) fn creator(&mut self, row: &Row) -> (Arc<Entity>, Option<Arc<Process>>) {
        let comm = String::from_utf8_lossy(row.comm());
        let cgroup_id = match row.cgroup_id {
            0 => row.socket_cgroup_id,
            id => id,
        };
        let creator = Creator {
            cgroup_id,
            cgroup_v1_id: row.cgroup_v1_id,
            pid: row.pid,
            comm: &comm,
        };
        let entity = self.names.entity(&creator);
        let process = (row.pid != 0).then(|| {
            let key = (row.pid, row.comm);
            self.processes.get(&key).unwrap_or_else(|| {
                let process = Arc::new(Process {
                    pid: row.pid,
                    executable: comm.as_ref().into(),
                });
                self.processes.insert(key, Arc::clone(&process));
                process
            })
        });
        (entity, process)
    }

    /// If the other end is on this kernel, each learns who the other is.
    pub(super) fn join(&mut self, slot: Slot) {
        let one = &self.connections[slot];
        if !one.is(marks::ISNS) {
            return;
        }
        let (isns, role) = (one.isns, one.role);
        let Some(other) = self.connections.by_isns(isns, row::other(role)) else {
            return;
        };
        let (client, server) = match role {
            Role::Client => (slot, other),
            Role::Server => (other, slot),
        };
        let accepted = self.connections[server].local;
        let probe = self.connections[client].is(marks::KUBELET)
            && row::in_a_pod(&self.connections[server].entity);
        let (client_entity, server_entity) = (
            Arc::clone(&self.connections[client].entity),
            Arc::clone(&self.connections[server].entity),
        );
        let asker = &mut self.connections[client];
        asker.answered_by = (accepted != asker.remote).then(|| Box::new(accepted.socket()));
        asker.far = Some(server_entity);
        self.connections[server].far = Some(client_entity);
        for slot in [client, server] {
            let end = &mut self.connections[slot];
            end.marks |= marks::JOINED;
            if probe && end.is(marks::WAITING) && !end.is(marks::EXCLUDED) {
                end.marks |= marks::EXCLUDED;
                self.rules.exclude.probe_dropped();
            }
        }
    }

    /// Says a first row, after what the kernel said of the connection last.
    pub(super) fn settle_birth(&mut self, slot: Slot, row: &Row, closed: bool) {
        self.connections[slot].marks &= !marks::WAITING;
        self.ask(slot, row.netns_cookie);
        let mut said = Flags::OPENED | Flags::ESTABLISHED | Flags::ACTIVE;
        let reading = Reading::of(row);
        if closed {
            said |= Flags::CLOSED | Flags::INACTIVE | Flags::SPAN | Flags::RTT;
            self.write_last(slot, &reading, said, Ending::of(row));
        } else {
            self.write(slot, &reading, said);
        }
    }

    pub(super) fn settle_adopted(&mut self, slot: Slot, netns: u64) {
        self.reconsider(slot, netns);
        self.connections[slot].marks &= !marks::WAITING;
        self.ask(slot, netns);
        let reading = Reading::known(&self.connections[slot]);
        self.write(slot, &reading, Flags::ADOPTED | Flags::ACTIVE);
    }

    /// What was adopted before the listener that it belongs to.
    pub(super) fn reconsider(&mut self, slot: Slot, netns: u64) {
        let undecided = &self.connections[slot];
        let local = undecided.local.socket();
        if !undecided.is(marks::UNDECIDED) || !self.listeners.accepts(netns, local) {
            return;
        }
        let Some(mut tracked) = self.connections.remove(slot) else {
            return;
        };
        tracked.role = Role::Server;
        let Isns {
            client: own,
            server: peer,
        } = tracked.isns;
        tracked.isns = Isns {
            client: peer,
            server: own.wrapping_sub(1),
        };
        // The SYN that the counters held was none: see `Row::assume`.
        tracked.base.bytes_sent += 1;
        tracked.last.bytes_sent += 1;
        let again = self.connections.insert(tracked);
        debug_assert_eq!(
            again, slot,
            "the slot that was freed last is given out first"
        );
        self.join(slot);
    }

    /// Settles one at once: more is heard of it.
    pub(super) fn settle_now(&mut self, slot: Slot) {
        let number = self.connections[slot].waits;
        if let Some(one) = self.waiting.take(number, slot) {
            self.settle_birth(slot, &one.row, one.closed);
        } else if let Some(at) = self.adopting.iter().position(|(other, _)| *other == slot) {
            let (slot, netns) = self.adopting.swap_remove(at);
            self.settle_adopted(slot, netns);
        }
    }

    /// Finds out who is at the far end where the pair of ISNs did not tell.
    pub(super) fn ask(&mut self, slot: Slot, netns: u64) {
        let tracked = &mut self.connections[slot];
        if tracked.role == Role::Server {
            self.serves(slot, netns);
            return;
        }
        if tracked.is(marks::JOINED) {
            return;
        }
        let (local, remote) = (tracked.local.socket(), tracked.remote.socket());
        if let Some(who) = self.listeners.named(netns, local, remote) {
            tracked.far = Some(Arc::clone(who));
        }
        if remote.ip().is_loopback() {
            return;
        }
        if let Some(answers) = &mut self.answers {
            tracked.answered_by = answers(local, remote)
                .filter(|who| *who != remote)
                .map(Box::new);
        }
        if tracked.far.is_none() {
            let asked = tracked.answered_by.as_deref().copied().unwrap_or(remote);
            let Served(known) = self.served.get(&asked.into()).unwrap_or(Served(None));
            // An address goes to somebody else in time: then an old name is worse than none.
            let fresh = |last: &LastServed| tracked.born_ns <= last.at_ns + SERVED_NS;
            tracked.far = known.filter(fresh).map(|last| last.who);
        }
        // Nobody accepted it, but a pod of this node serves there.
        let far = tracked.far.as_deref();
        if tracked.is(marks::KUBELET) && far.is_some_and(row::in_a_pod) {
            tracked.marks |= marks::EXCLUDED;
            self.rules.exclude.probe_dropped();
        }
    }

    /// Remembers who serves at an address: a connect that it does not accept still has a name then.
    fn serves(&mut self, slot: Slot, netns: u64) {
        let tracked = &self.connections[slot];
        if tracked.local.socket().ip().is_loopback() {
            return;
        }
        match self.served.known(&tracked.local) {
            None => {
                let last = LastServed {
                    netns,
                    who: Arc::clone(&tracked.entity),
                    at_ns: tracked.born_ns,
                };
                self.served.insert(tracked.local, Served(Some(last)));
            }
            Some(Served(Some(last))) if last.netns == netns => {
                if !Arc::ptr_eq(&last.who, &tracked.entity) {
                    last.who = Arc::clone(&tracked.entity);
                }
                last.at_ns = tracked.born_ns;
            }
            Some(several) => *several = Served(None),
        }
    }

    pub(super) fn listening(&mut self, row: &Row) {
        let at = (row.netns_cookie, row.local());
        if !self.listeners.again(row.id, at, row.at_ns, row.sweep) {
            let (entity, process) = self.creator(row);
            let heir = process.filter(|_| row.has(flags::MPTCP));
            let who = Who { entity, heir };
            self.listeners
                .insert(row.id, at, (row.at_ns, row.sweep), who);
        }
    }
}
