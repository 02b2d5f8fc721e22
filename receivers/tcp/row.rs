//! From what the kernel says to the row that leaves: measures, end reasons, ids.

use tapetum_model::{
    Attr, Connection, Counters, End, EndReason, Entity, ErrorType, Flags, ResetOrigin, Role,
};
use tapetum_probes::tcp::{self as probe, Row};

use super::clock::Offset;
use super::ids::{Ids, Isns};
use super::tracked::{Address, Tracked, marks};

/// What a connection measured at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) at_ns: u64,
    pub(super) counters: Counters,
    pub(super) rtt_smoothed_us: u32,
    pub(super) rtt_min_us: u32,
    pub(super) rtt_variance_us: u32,
    pub(super) reordering: u32,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) reason: EndReason,
    pub(super) error: Option<ErrorType>,
    pub(super) reset_by: Option<ResetOrigin>,
}

impl Reading {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            at_ns: row.at_ns,
            counters: counters(row),
            rtt_smoothed_us: row.srtt_us,
            rtt_min_us: row.min_rtt_us,
            // Before the first sample the kernel has a guess there, which nobody measured.
            rtt_variance_us: if row.srtt_us > 0 { row.rttvar_us } else { 0 },
            reordering: if row.reordering_seen > 0 {
                row.reordering.into()
            } else {
                0
            },
        }
    }

    /// What the last row said, when and as far as it is remembered.
    pub(super) fn known(tracked: &Tracked) -> Self {
        Self {
            at_ns: tracked.seen_ns,
            counters: tracked.last,
            rtt_smoothed_us: tracked.rtt_us[0],
            rtt_min_us: tracked.rtt_us[1],
            rtt_variance_us: tracked.rtt_us[2],
            reordering: 0,
        }
    }
}

impl Ending {
    pub(super) fn of(row: &Row) -> Self {
        let reason = match row.end() {
            probe::End::Fin => EndReason::Fin,
            probe::End::RstSent => EndReason::RstSent,
            probe::End::RstReceived => EndReason::RstReceived,
            probe::End::Timeout => EndReason::Timeout,
            probe::End::Cancelled => EndReason::Cancelled,
            probe::End::Unknown => EndReason::Unknown,
        };
        let error = row.failure().map(|failure| match failure {
            probe::Failure::Refused => ErrorType::ConnectionRefused,
            probe::Failure::Timeout => ErrorType::Timeout,
            probe::Failure::Reset => ErrorType::Reset,
            probe::Failure::HostUnreachable => ErrorType::HostUnreachable,
            probe::Failure::NetUnreachable => ErrorType::NetUnreachable,
            probe::Failure::Other => ErrorType::Other,
        });
        let reset_by = match reason {
            EndReason::RstSent => Some(ResetOrigin::Local),
            EndReason::RstReceived => Some(ResetOrigin::Remote),
            _ => None,
        };
        Self {
            reason,
            error,
            reset_by,
        }
    }
}

pub(super) fn counters(row: &Row) -> Counters {
    Counters {
        bytes_sent: row.bytes_sent,
        bytes_received: row.bytes_received,
        packets_sent: row.packets_sent,
        packets_received: row.packets_received,
        retransmits: row.retransmits.into(),
        bytes_retransmitted: row.bytes_retransmitted,
        rwnd_limited_ns: row.rwnd_limited_us.saturating_mul(1_000),
        sndbuf_limited_ns: row.sndbuf_limited_us.saturating_mul(1_000),
    }
}

/// The two initial sequence numbers of a row that has them.
pub(super) fn isns(row: &Row, role: Role) -> Isns {
    match role {
        Role::Client => Isns {
            client: row.isn_own,
            server: row.isn_peer,
        },
        Role::Server => Isns {
            client: row.isn_peer,
            server: row.isn_own,
        },
    }
}

pub(super) fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

pub(super) fn in_a_pod(entity: &Entity) -> bool {
    entity.attribute(&Attr::K8sPodUid).is_some()
}

/// Writes a row of a connection and remembers that it was written. `said` is what the row reports;
/// what follows from the connection itself (totals, remote parent) is added here, who its ends are by the
/// caller: what ends gives it away, what goes on shares it.
pub(super) fn write(
    tracked: &mut Tracked,
    reading: &Reading,
    mut said: Flags,
    ending: Option<Ending>,
    ids: &mut Ids,
    offset: Offset,
) -> Connection {
    let total = at_least(&reading.counters, &tracked.last);
    let (delta, period) = (total.since(&tracked.last), total.since(&tracked.base));
    let is_span = said.has(Flags::SPAN);
    let failed = ending.is_some() && !said.has(Flags::CLOSED);
    let several = tracked.spans > 0 || tracked.is(marks::ADOPTED);
    if is_span && ending.is_some() && several {
        said |= Flags::TOTALS;
    }
    let names = is_span.then(|| {
        if failed {
            ids.alone()
        } else {
            ids.span(tracked.isns, tracked.role, tracked.spans)
        }
    });
    if names.is_some_and(|names| names.remote_parent) {
        said |= Flags::REMOTE_PARENT;
    }
    let shook_hands = said.has(Flags::ESTABLISHED) || (is_span && tracked.spans == 0);
    let row = Connection {
        local: end(tracked.local),
        remote: end(tracked.remote),
        answered_by: tracked.answered_by.as_deref().copied(),
        role: tracked.role,
        process: None,
        trace: names.map(|names| names.trace).unwrap_or_default(),
        span: names.map(|names| names.span).unwrap_or_default(),
        parent: names.and_then(|names| names.parent),
        link: names.and_then(|names| names.link),
        start: offset.wall(tracked.started_ns),
        end: offset.wall(reading.at_ns.max(tracked.started_ns)),
        born: offset.wall(tracked.born_ns),
        flags: said,
        error: ending.and_then(|ending| ending.error),
        end_reason: ending.map(|ending| ending.reason),
        reset_by: ending.and_then(|ending| ending.reset_by),
        delta,
        period,
        total,
        rtt_smoothed_us: reading.rtt_smoothed_us,
        rtt_min_us: reading.rtt_min_us,
        rtt_variance_us: reading.rtt_variance_us,
        handshake_us: if shook_hands { tracked.handshake_us } else { 0 },
        reordering: reading.reordering,
    };
    tracked.last = total;
    tracked.rtt_us = [
        reading.rtt_smoothed_us,
        reading.rtt_min_us,
        reading.rtt_variance_us,
    ];
    tracked.seen_ns = tracked.seen_ns.max(reading.at_ns);
    if is_span {
        tracked.base = total;
        tracked.started_ns = reading.at_ns;
        tracked.spans += 1;
    }
    row
}

fn end(at: Address) -> End {
    End {
        address: at.socket(),
        entity: None,
        service: None,
        translated: false,
    }
}

/// A socket that moves while it is read can show less than before: what was counted stays counted.
fn at_least(now: &Counters, before: &Counters) -> Counters {
    Counters {
        bytes_sent: now.bytes_sent.max(before.bytes_sent),
        bytes_received: now.bytes_received.max(before.bytes_received),
        packets_sent: now.packets_sent.max(before.packets_sent),
        packets_received: now.packets_received.max(before.packets_received),
        retransmits: now.retransmits.max(before.retransmits),
        bytes_retransmitted: now.bytes_retransmitted.max(before.bytes_retransmitted),
        rwnd_limited_ns: now.rwnd_limited_ns.max(before.rwnd_limited_ns),
        sndbuf_limited_ns: now.sndbuf_limited_ns.max(before.sndbuf_limited_ns),
    }
}
