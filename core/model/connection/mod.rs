//! The connection row: a TCP connection, or what happened to it since its last row.
//!
//! A receiver writes a row at birth, at each sweep that saw bytes move, at the end of an interval
//! and at the close. Each row carries three sets of counters: `delta` since the row before (metrics
//! add these, so every byte is counted once and soon), `period` since the last span (spans carry
//! these, so summing spans is right), and `total` over the lifetime. Only rows with
//! [`Flags::SPAN`] are spans.

mod shared;
mod table;

use std::net::SocketAddr;
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

pub use self::shared::Connections;
use crate::{End, UnixNanos};

/// A trace: the same at both ends of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

/// Another span that this one continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLink {
    /// Its trace.
    pub trace: TraceId,
    /// See `trace`.
    pub span: SpanId,
}

/// Which part the near end has in the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
}

/// The process that created the socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id in the host's namespace.
    pub pid: u32,
    /// Its name (`comm`).
    pub executable: Arc<str>,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both ends closed in order.
    Fin,
    /// The near end reset it.
    RstSent,
    /// The far end reset it, a refused connect too.
    RstReceived,
    /// Nobody answered any more.
    Timeout,
    /// A connect that was abandoned.
    Cancelled,
    /// The close was not seen.
    Unknown,
}

/// Why a connection failed: the closed list of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// The far end refused it.
    ConnectionRefused,
    /// Nobody answered.
    Timeout,
    /// It was reset after it was established.
    Reset,
    /// The host cannot be reached.
    HostUnreachable,
    /// The network cannot be reached.
    NetUnreachable,
    /// Another error of the kernel.
    Other,
}

/// Which end sent a reset, seen from the end that reports it: where both ends report, counting
/// one origin counts every reset once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetOrigin {
    /// The end that reports.
    Local,
    /// The other end.
    Remote,
}

/// What a row reports, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// The row is a span: `period` is complete.
    pub const SPAN: Self = Self(1);
    /// The connection was born in this row's period, before our eyes.
    pub const OPENED: Self = Self(1 << 1);
    /// The connection is older than the agent and was found by it.
    pub const ADOPTED: Self = Self(1 << 2);
    /// The handshake finished since the row before.
    pub const ESTABLISHED: Self = Self(1 << 3);
    /// The connection ended.
    pub const CLOSED: Self = Self(1 << 4);
    /// It ended before it was established.
    pub const FAILED: Self = Self(1 << 5);
    /// The span carries the lifetime's measures too: the last of several, or of an adopted one.
    pub const TOTALS: Self = Self(1 << 6);
    /// The round-trip time was sampled: bytes moved since the row before, or it is the close.
    pub const RTT: Self = Self(1 << 7);
    /// The span's parent is in another process (the server's span, child of the client's).
    pub const REMOTE_PARENT: Self = Self(1 << 8);
    /// The connection counts as active from this row on.
    pub const ACTIVE: Self = Self(1 << 9);
    /// The connection no longer counts as active.
    pub const INACTIVE: Self = Self(1 << 10);

    /// Whether all of `flags` are in the set.
    #[must_use]
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The set without `flags`.
    #[must_use]
    pub fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What can be counted of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload sent: no SYN, no FIN, nothing twice.
    pub bytes_sent: u64,
    /// Payload received.
    pub bytes_received: u64,
    /// Segments sent.
    pub packets_sent: u64,
    /// Segments received.
    pub packets_received: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Payload sent again.
    pub bytes_retransmitted: u64,
    /// Time that the peer's window was the limit.
    pub rwnd_limited_ns: u64,
    /// Time that the send buffer was the limit.
    pub sndbuf_limited_ns: u64,
}

impl Counters {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            bytes_received: self.bytes_received.saturating_sub(earlier.bytes_received),
            packets_sent: self.packets_sent.saturating_sub(earlier.packets_sent),
            packets_received: self
                .packets_received
                .saturating_sub(earlier.packets_received),
            retransmits: self.retransmits.saturating_sub(earlier.retransmits),
            bytes_retransmitted: self
                .bytes_retransmitted
                .saturating_sub(earlier.bytes_retransmitted),
            rwnd_limited_ns: self.rwnd_limited_ns.saturating_sub(earlier.rwnd_limited_ns),
            sndbuf_limited_ns: self
                .sndbuf_limited_ns
                .saturating_sub(earlier.sndbuf_limited_ns),
        }
    }
}

/// A TCP connection as one end saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The end on this node.
    pub local: End,
    /// The other end; a client's is what it asked for (the virtual IP).
    pub remote: End,
    /// Who really answered, where that is another address than was asked for.
    pub answered_by: Option<SocketAddr>,
    /// The part of the near end.
    pub role: Role,
    /// The creating process.
    pub process: Option<Arc<Process>>,
    /// Trace of the span.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Its parent, if it has one.
    pub parent: Option<SpanId>,
    /// The span of an earlier trace that it continues.
    pub link: Option<SpanLink>,
    /// Begin of the span's period.
    pub start: UnixNanos,
    /// End of the span's period, or when the row was written.
    pub end: UnixNanos,
    /// When the connection was born, or adopted.
    pub born: UnixNanos,
    /// What the row reports.
    pub flags: Flags,
    /// Why it failed.
    pub error: Option<ErrorType>,
    /// Why it ended; on last rows.
    pub end_reason: Option<EndReason>,
    /// Who reset it.
    pub reset_by: Option<ResetOrigin>,
    /// Since the row before.
    pub delta: Counters,
    /// Since the last span.
    pub period: Counters,
    /// Over the lifetime.
    pub total: Counters,
    /// Smoothed round-trip time; 0 if there is no sample.
    pub rtt_smoothed_us: u32,
    /// Least round-trip time.
    pub rtt_min_us: u32,
    /// Its mean deviation.
    pub rtt_variance_us: u32,
    /// Duration of the handshake; 0 if not known or not in this span.
    pub handshake_us: u32,
    /// The kernel's reordering estimate, where it is not the initial one.
    pub reordering: u32,
}

impl Connection {
    /// The end that accepted.
    #[must_use]
    pub fn server(&self) -> &End {
        match self.role {
            Role::Client => &self.remote,
            Role::Server => &self.local,
        }
    }

    /// The end that connected.
    #[must_use]
    pub fn client(&self) -> &End {
        match self.role {
            Role::Client => &self.local,
            Role::Server => &self.remote,
        }
    }
}

impl EndReason {
    /// Its value in `tcp.end_reason`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::RstSent => "rst_sent",
            Self::RstReceived => "rst_received",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

impl ErrorType {
    /// Its value in `error.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection_refused",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::HostUnreachable => "host_unreachable",
            Self::NetUnreachable => "net_unreachable",
            Self::Other => "other",
        }
    }
}

impl ResetOrigin {
    /// Its value in `tcp.reset.origin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}
