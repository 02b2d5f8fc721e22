//! A made-up kernel: one table, rows of chosen sockets, and a clock in milliseconds.

use std::net::SocketAddr;
use std::path::Path;

use tapetum_model::{Connection, UnixNanos};
use tapetum_pipeline::Telemetry;
use tapetum_probes::tcp::{Event, Role, Row, SweepEnded, flags};

use crate::identity::Names;
use crate::tcp::clock::Moment;
use crate::tcp::exclude::{Exclude, REASONS};
use crate::tcp::ids::Ids;
use crate::tcp::table::{Answers, Rules, Table};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MS;
/// Where the wall clock stood when the monotonic one was at 0.
pub(super) const BOOT: u64 = 1_700_000_000 * SECOND;
pub(super) const OWN_PID: u32 = 99;

pub(super) struct World {
    pub(super) table: Table,
    pub(super) telemetry: Telemetry,
    sweep: u32,
}

impl World {
    /// Sweeps each 10 s, spans each 60 s, four connections at most, everything excluded that can be.
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    pub(super) fn with(answers: Option<Answers>) -> Self {
        let telemetry = Telemetry::default();
        let words = REASONS.map(str::to_owned);
        let rules = Rules {
            interval_ns: 60 * SECOND,
            sweep_ns: 10 * SECOND,
            connections_max: 4,
            exclude: Exclude::new(&words, OWN_PID, &telemetry),
        };
        let names = Names::of_host("node-1", Path::new("/nonexistent"), OWN_PID);
        let mut table = Table::new(rules, Ids::new(None, [3; 16]), names, answers);
        table.offset.read(Moment {
            unix: UnixNanos(BOOT),
            ..Moment::default()
        });
        Self {
            table,
            telemetry,
            sweep: 0,
        }
    }

    /// What a drain at this time gives.
    pub(super) fn settle(&mut self, at_ns: u64) -> Vec<Connection> {
        assert!(self.table.settle(at_ns, usize::MAX));
        std::mem::take(&mut self.table.rows)
    }

    /// A whole sweep that sees these rows, and the drain after it.
    pub(super) fn sweep(&mut self, at_ns: u64, rows: &[Row]) -> Vec<Connection> {
        self.broken_sweep(at_ns, rows, 0)
    }

    /// A whole sweep that finds only these, and all as they were.
    pub(super) fn still_sweep(&mut self, at_ns: u64, ids: &[u64]) -> Vec<Connection> {
        self.sweep += 1;
        let sweep = self.sweep;
        self.table.on(Event::SweepBegan { sweep, at_ns });
        for &id in ids {
            self.table.on(Event::Unchanged { id, sweep, at_ns });
        }
        let mut ended = SweepEnded::default();
        (ended.sweep, ended.began_ns) = (sweep, at_ns);
        self.table.on(Event::SweepEnded(ended));
        self.settle(at_ns)
    }

    pub(super) fn broken_sweep(&mut self, at_ns: u64, rows: &[Row], lost: u64) -> Vec<Connection> {
        self.sweep += 1;
        self.table.on(Event::SweepBegan {
            sweep: self.sweep,
            at_ns,
        });
        for row in rows {
            let row = Row {
                sweep: self.sweep,
                at_ns,
                ..*row
            };
            match row.peer_port {
                0 => self.table.on(Event::Listening(&row)),
                _ => self.table.on(Event::Swept(&row)),
            }
        }
        let mut ended = SweepEnded::default();
        (ended.sweep, ended.began_ns, ended.lost) = (self.sweep, at_ns, lost);
        self.table.on(Event::SweepEnded(ended));
        self.settle(at_ns)
    }

    /// The value of a counter of filtered or lost records by its reason.
    pub(super) fn counted(&self, reason: &str) -> u64 {
        let labels = [(tapetum_model::Attr::Reason, reason)];
        self.telemetry
            .counter(tapetum_model::Metric::RecordsFiltered, &labels)
            .value()
    }
}

/// A client 10.0.0.1:40000 of 10.0.0.2:80, established for 1 ms at 1 s, with nothing sent.
pub(super) fn client() -> Row {
    let row = between(Row::default(), "10.0.0.1:40000", "10.0.0.2:80");
    Row {
        id: 1,
        at_ns: SECOND,
        born_ns: SECOND - MS,
        established_ns: SECOND,
        netns_cookie: 7,
        pid: 500,
        comm: comm("web"),
        isn_own: 1_000,
        isn_peer: 2_000,
        handshake_us: 1_000,
        flags: flags::ISN,
        packets_sent: 2,
        packets_received: 1,
        srtt_us: 900,
        state: 1,
        ..row.with_role(Role::Client)
    }
}

/// The other end of [`client`].
pub(super) fn server() -> Row {
    let row = between(client(), "10.0.0.2:80", "10.0.0.1:40000");
    Row {
        id: 2,
        at_ns: SECOND + MS,
        born_ns: SECOND - MS / 2,
        established_ns: SECOND + MS,
        netns_cookie: 8,
        pid: 600,
        comm: comm("api"),
        isn_own: 2_000,
        isn_peer: 1_000,
        handshake_us: 450,
        packets_sent: 0,
        packets_received: 1,
        ..row.with_role(Role::Server)
    }
}

pub(super) fn listener(local: &str, netns_cookie: u64) -> Row {
    let row = between(Row::default(), local, "[::]:0");
    Row {
        id: 50,
        at_ns: SECOND,
        netns_cookie,
        comm: comm("api"),
        pid: 600,
        state: 10,
        ..row
    }
}

pub(super) fn between(row: Row, local: &str, peer: &str) -> Row {
    let octets = |text: &str| match text.parse::<SocketAddr>().unwrap() {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped().octets(), v4.port()),
        SocketAddr::V6(v6) => (v6.ip().octets(), v6.port()),
    };
    let ((local_address, local_port), (peer_address, peer_port)) = (octets(local), octets(peer));
    Row {
        local_address,
        local_port,
        peer_address,
        peer_port,
        ..row
    }
}

pub(super) fn comm(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}

pub(super) fn wall(monotonic_ns: u64) -> UnixNanos {
    UnixNanos(BOOT + monotonic_ns)
}
