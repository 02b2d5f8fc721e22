//! The records of the TCP probe, byte for byte as `include/tcp_record.h` lays them out, and what can
//! be read from them.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What the probe saw, in the order in which the kernel wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A connection is established. Born and established times, addresses and both initial
    /// sequence numbers are final.
    Opened(&'a Row),
    /// A connection ended, or a connect failed; `row.state` is the state it died from and
    /// `row.at_ns` when. The last record of this `row.id` until the socket connects anew.
    Closed(&'a Row),
    /// A connection that is older than the probe, with its counters as they are now: the base
    /// from which its first period is measured.
    Adopted(&'a Row),
    /// The counters of a tracked connection at a sweep, or a connect that is still trying
    /// (`!row.established()`). Without [`flags::ANNOUNCED`] it is the first record of this
    /// connection that reached the ring.
    Swept(&'a Row),
    /// A tracked connection that a sweep found exactly as its last row said: it is alive, and
    /// nothing moved. Only of connections of which a row was delivered before; can come after the
    /// close of its connection, and then says nothing.
    Unchanged {
        /// [`Row::id`] of that connection.
        id: u64,
        /// Number of the sweep.
        sweep: u32,
        /// When it was looked at.
        at_ns: u64,
    },
    /// A listener: new, adopted, or seen again by a sweep. Only the local end is set.
    Listening(&'a Row),
    /// A listener is gone.
    ListenerClosed(&'a Row),
    /// A sweep begins: what was opened before it and not closed must appear before its end.
    SweepBegan {
        /// Its number, as in its rows.
        sweep: u32,
        /// Monotonic time.
        at_ns: u64,
    },
    /// A sweep ended. Only if `lost` is 0 does absence from it prove that a socket is gone.
    SweepEnded(SweepEnded),
    /// A control group was created.
    CgroupMade(CgroupMade<'a>),
}

/// One connection (or listener) as the kernel knew it at one moment. All counters are since the
/// socket was born, also for adopted ones: periods are the reader's to subtract.
///
/// Between two rows of a connection a counter can come out one lower than before (a row written by
/// a sweep while a FIN was being consumed on another CPU): subtract with saturation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Which record it came as; [`Event`] says the same.
    pub kind: u16,
    /// Its length on the ring.
    pub bytes: u16,
    /// Number of the sweep that wrote it; 0 outside one.
    pub sweep: u32,
    /// When it was written: for a closed connection, when it closed. All times are
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub at_ns: u64,
    /// The socket's cookie: unique on this kernel until it restarts. A socket that connects again
    /// after a close keeps it, with another `born_ns`.
    pub id: u64,
    /// Cookie of the network namespace; unlike inode numbers, never reused.
    pub netns_cookie: u64,
    /// SYN sent, or accepted by the kernel; of an adopted connection, when it was adopted.
    pub born_ns: u64,
    /// 0: not (yet) established. Of an adopted connection, when it was adopted.
    pub established_ns: u64,
    /// Unified-hierarchy cgroup of the process that connected or listened: the directory's inode.
    pub cgroup_id: u64,
    /// The same process in the v1 memory hierarchy, where there is one; else 0.
    pub cgroup_v1_id: u64,
    /// Unified-hierarchy cgroup that the socket itself was created in. Differs from `cgroup_id`
    /// when sockets are passed between processes.
    pub socket_cgroup_id: u64,
    /// Payload sent, each byte once: no SYN, no FIN, nothing that was sent again.
    pub bytes_sent: u64,
    /// Payload received in order.
    pub bytes_received: u64,
    /// Payload sent again.
    pub bytes_retransmitted: u64,
    /// Segments sent. A server's never include the SYN exchange.
    pub packets_sent: u64,
    /// Segments received.
    pub packets_received: u64,
    /// Time limited by the peer's window, in steps of the kernel's tick.
    pub rwnd_limited_us: u64,
    /// Time limited by the send buffer, likewise.
    pub sndbuf_limited_us: u64,
    /// See [`Row::local`].
    pub local_address: [u8; 16],
    /// See [`Row::peer`].
    pub peer_address: [u8; 16],
    /// See [`Row::comm`].
    pub comm: [u8; 16],
    /// Inode number of the network namespace, as `/proc/PID/ns/net` shows it.
    pub netns_inum: u32,
    /// Process (thread group) that connected or listened, in the initial PID namespace; 0: not known.
    pub pid: u32,
    /// Initial sequence number of this end; meaningful with [`flags::ISN`].
    pub isn_own: u32,
    /// Initial sequence number of the peer; meaningful with [`flags::ISN`].
    pub isn_peer: u32,
    /// Segments sent again (the kernel's `total_retrans`).
    pub retransmits: u32,
    /// Smoothed round-trip time; 0: no sample.
    pub srtt_us: u32,
    /// Mean deviation of the round-trip time.
    pub rttvar_us: u32,
    /// Least round-trip time of the kernel's window; 0: no sample.
    pub min_rtt_us: u32,
    /// Client: SYN to established. Server: the kernel's first round-trip sample. 0: not known.
    pub handshake_us: u32,
    /// See [`flags`].
    pub flags: u32,
    /// The kernel's reordering metric (3 where nothing was reordered).
    pub reordering: u16,
    /// Reordering events seen.
    pub reordering_seen: u16,
    /// Port of this end; 0: the connect never got one.
    pub local_port: u16,
    /// Port of the peer.
    pub peer_port: u16,
    /// Of a closed connection the socket's error, a positive errno; 0: none. Of a connect that was
    /// given up: the last ICMP error, unless the process had asked for it (`SO_ERROR`).
    pub error: u16,
    /// 4 or 6: what is spoken on the wire.
    pub family: u8,
    /// See [`Row::role`].
    pub role_code: u8,
    /// TCP state (`TCP_ESTABLISHED` = 1 …); of a closed connection the one it died from.
    pub state: u8,
    /// Nothing.
    pub zero: [u8; 3],
}

/// Which end of the handshake a row's socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sent the SYN. (Both ends of a simultaneous open are clients.)
    Client,
    /// A listener accepted it.
    Server,
    /// Adopted, and its counters do not tell: see [`Row::assume`].
    Unknown,
}

/// Facts of a row that are either so or not.
pub mod flags {
    /// Older than the probe.
    pub const ADOPTED: u32 = 1 << 0;
    /// An earlier record of this connection reached the ring.
    pub const ANNOUNCED: u32 = 1 << 1;
    /// An `AF_INET6` socket that speaks IPv4.
    pub const MAPPED: u32 = 1 << 2;
    /// The own FIN left.
    pub const FIN_SENT: u32 = 1 << 3;
    /// The peer acknowledged it.
    pub const FIN_ACKED: u32 = 1 << 4;
    /// The peer's FIN was consumed in order.
    pub const FIN_RECEIVED: u32 = 1 << 5;
    /// A reset was sent before the socket closed.
    pub const RST_SENT: u32 = 1 << 6;
    /// A reset was received.
    pub const RST_RECEIVED: u32 = 1 << 7;
    /// Both initial sequence numbers are known.
    pub const ISN: u32 = 1 << 8;
    /// Both ends sent a SYN (simultaneous open): both are clients.
    pub const CROSSED: u32 = 1 << 9;
    /// A listener through MPTCP that is older than the probe: what it accepts comes with pid 0.
    pub const MPTCP: u32 = 1 << 10;
}

/// How a sweep went.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepEnded {
    pub(super) kind: u16,
    pub(super) bytes: u16,
    /// Its number.
    pub sweep: u32,
    /// When it ended.
    pub at_ns: u64,
    /// When it began.
    pub began_ns: u64,
    /// Rows written, listeners included.
    pub rows: u64,
    /// Rows that found no room.
    pub lost: u64,
}

/// A control group that was created; `path` is relative to its hierarchy's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupMade<'a> {
    /// Inode of its directory: what [`Row::cgroup_id`] and [`Row::cgroup_v1_id`] hold.
    pub id: u64,
    /// As in `/proc/PID/cgroup`: 0 is the unified hierarchy.
    pub hierarchy: u32,
    /// When.
    pub at_ns: u64,
    /// Depth below the root.
    pub level: u32,
    /// As the kernel has it, cut at 511 bytes.
    pub path: &'a [u8],
}

const _: () = assert!(size_of::<Row>() == 232);
const _: () = assert!(offset_of!(Row, bytes_sent) == 72);
const _: () = assert!(offset_of!(Row, comm) == 160);
const _: () = assert!(offset_of!(Row, flags) == 212);
const _: () = assert!(offset_of!(Row, state) == 228);
const _: () = assert!(size_of::<SweepEnded>() == 40);

impl Row {
    /// Address and port of this end; an IPv4-mapped address comes out as IPv4.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(address(self.local_address), self.local_port)
    }

    /// Address and port of the peer, as this socket knows it (behind a NAT: as it asked).
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(address(self.peer_address), self.peer_port)
    }

    /// Name of the process (of its main thread), as the kernel cuts it: at most 15 bytes.
    pub fn comm(&self) -> &[u8] {
        let end = self.comm.iter().position(|&byte| byte == 0);
        &self.comm[..end.unwrap_or(self.comm.len())]
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        match self.role_code {
            1 => Role::Client,
            2 => Role::Server,
            _ => Role::Unknown,
        }
    }

    /// The same row for a reader who found out the role that the counters did not tell. The SYN is
    /// among what a client had acknowledged, so the server's own sequence number is one less and
    /// its payload one more. Rows that know their role come back unchanged.
    pub fn assume(mut self, role: Role) -> Row {
        if self.role() == Role::Unknown {
            self.role_code = match role {
                Role::Client => 1,
                Role::Server => 2,
                Role::Unknown => 0,
            };
            if role == Role::Server && self.has(flags::ISN) {
                self.isn_own = self.isn_own.wrapping_sub(1);
                self.bytes_sent = self.bytes_sent.saturating_add(1);
            }
        }
        self
    }

    /// Whether all of these [`flags`] are set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Whether the handshake was completed.
    pub fn established(&self) -> bool {
        self.established_ns != 0
    }

    /// For tests: a row of a given role.
    pub fn with_role(mut self, role: Role) -> Row {
        self.role_code = match role {
            Role::Client => 1,
            Role::Server => 2,
            Role::Unknown => 0,
        };
        self
    }
}

fn address(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}
