//! The connection row's table: its ends, dimensions and the metrics that it adds to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Connection, Connections, Flags, Role};
use crate::rows::{Contribution, Orientation, Quantity, Rows, Trace};
use crate::{Attr, End, Metric, Records, UnixNanos, Value};

const PORT: &[Attr] = &[Attr::ServerPort];
const FLOW: &[Attr] = &[Attr::NetworkTransport, Attr::ServerPort];

/// The one table of this kind; [`measure`] has a row's measures in the same order.
static TABLE: [Contribution; 13] = [
    line(Metric::FlowBytes, Orientation::Sent, true, FLOW),
    line(Metric::FlowBytes, Orientation::Received, true, FLOW),
    line(Metric::FlowPackets, Orientation::Sent, true, FLOW),
    line(Metric::FlowPackets, Orientation::Received, true, FLOW),
    line(
        Metric::ConnectionsOpened,
        Orientation::Initiator,
        true,
        PORT,
    ),
    line(
        Metric::ConnectionsClosed,
        Orientation::Initiator,
        true,
        CLOSED,
    ),
    line(
        Metric::ConnectionsFailed,
        Orientation::Initiator,
        true,
        FAILED,
    ),
    line(
        Metric::ConnectionsActive,
        Orientation::Initiator,
        true,
        PORT,
    ),
    line(
        Metric::HandshakeDuration,
        Orientation::Initiator,
        false,
        PORT,
    ),
    line(
        Metric::ConnectionDuration,
        Orientation::Initiator,
        false,
        PORT,
    ),
    line(Metric::Rtt, Orientation::Initiator, false, PORT),
    line(Metric::Retransmits, Orientation::Sent, false, &[]),
    line(
        Metric::Resets,
        Orientation::Initiator,
        false,
        &[Attr::TcpResetOrigin],
    ),
];
const CLOSED: &[Attr] = &[Attr::ServerPort, Attr::TcpEndReason];
const FAILED: &[Attr] = &[Attr::ServerPort, Attr::ErrorType];

const fn line(
    metric: Metric,
    orientation: Orientation,
    directed: bool,
    dimensions: &'static [Attr],
) -> Contribution {
    Contribution {
        metric,
        orientation,
        directed,
        dimensions,
    }
}

impl Rows for Connections {
    fn rows(&self) -> usize {
        self.len()
    }

    fn ends(&self, row: usize) -> (&End, &End) {
        (&self[row].local, &self[row].remote)
    }

    fn ends_mut(&mut self, row: usize) -> (&mut End, &mut End) {
        let row = &mut Arc::make_mut(&mut self.rows)[row];
        (&mut row.local, &mut row.remote)
    }

    fn initiated_here(&self, row: usize) -> bool {
        self[row].role == Role::Client
    }

    fn trace(&self, row: usize) -> Option<Trace> {
        self.is_span(row).then(|| Trace {
            trace: self[row].trace,
            span: self[row].span,
            error: self[row].error.is_some(),
        })
    }

    fn identity(&self, row: usize) -> u64 {
        // No time is in it: when the wall clock steps, what began before must still be found.
        let row = &self[row];
        let mut hasher = DefaultHasher::new();
        (row.local.address, row.remote.address).hash(&mut hasher);
        (row.role == Role::Client).hash(&mut hasher);
        hasher.finish()
    }

    fn unspan(&mut self, row: usize) {
        Connections::unspan(self, row);
    }

    fn dimension(&self, row: usize, attr: &Attr) -> Option<Value> {
        let row = &self[row];
        match attr {
            Attr::NetworkTransport => Some(Value::Static("tcp")),
            Attr::ServerPort => Some(Value::Int(i64::from(row.server().address.port()))),
            Attr::TcpEndReason => row.end_reason.map(|reason| Value::Static(reason.name())),
            Attr::ErrorType => row.error.map(|error| Value::Static(error.name())),
            Attr::TcpResetOrigin => row.reset_by.map(|origin| Value::Static(origin.name())),
            _ => None,
        }
    }

    fn variant(&self, row: usize) -> u64 {
        let row = &self[row];
        let port = u64::from(row.server().address.port());
        let end_reason = row.end_reason.map_or(0, |reason| reason as u64 + 1);
        let error = row.error.map_or(0, |error| error as u64 + 1);
        let reset_by = row.reset_by.map_or(0, |origin| origin as u64 + 1);
        let role = row.role as u64;
        port | end_reason << 16 | error << 24 | reset_by << 32 | role << 40
    }

    fn contributions(&self) -> &'static [Contribution] {
        &TABLE
    }

    fn quantity(&self, row: usize, index: usize) -> Option<Quantity> {
        measure(&self[row], index)
    }

    fn time(&self, row: usize) -> UnixNanos {
        self[row].end
    }

    fn began(&self, row: usize) -> UnixNanos {
        self[row].born
    }

    fn answered_by(&self, row: usize) -> Option<SocketAddr> {
        self[row].answered_by
    }

    fn take(&mut self, taken: &mut dyn FnMut(usize) -> bool) -> Records {
        let mut rows = std::mem::take(self).into_vec();
        let mut row = 0;
        let taken: Vec<_> = rows
            .extract_if(.., |_| {
                row += 1;
                taken(row - 1)
            })
            .collect();
        *self = rows.into();
        Records::Connections(taken.into())
    }

    fn retain(&mut self, keep: &mut dyn FnMut(usize) -> bool) {
        let mut rows = std::mem::take(self).into_vec();
        let mut row = 0;
        rows.retain(|_| {
            row += 1;
            keep(row - 1)
        });
        *self = rows.into();
    }
}

/// What a row adds to the `index`th line of [`TABLE`].
fn measure(row: &Connection, index: usize) -> Option<Quantity> {
    let count = |n: u64| (n > 0).then(|| Quantity::Add(i64::try_from(n).unwrap_or(i64::MAX)));
    let once = |flag: Flags| count(u64::from(row.flags.has(flag)));
    let seconds = |us: u32| Some(Quantity::Observe(f64::from(us) * 1e-6));
    match index {
        0 => count(row.delta.bytes_sent),
        1 => count(row.delta.bytes_received),
        2 => count(row.delta.packets_sent),
        3 => count(row.delta.packets_received),
        4 => once(Flags::OPENED),
        5 => once(Flags::CLOSED),
        6 => once(Flags::FAILED),
        7 if row.flags.has(Flags::ACTIVE | Flags::INACTIVE) => None,
        7 if row.flags.has(Flags::INACTIVE) => Some(Quantity::Add(-1)),
        7 => once(Flags::ACTIVE),
        8 if row.flags.has(Flags::ESTABLISHED) && row.handshake_us > 0 => seconds(row.handshake_us),
        9 if row.flags.has(Flags::CLOSED) => {
            Some(Quantity::Observe(row.end.since(row.born).as_secs_f64()))
        }
        10 if row.flags.has(Flags::RTT) && row.rtt_smoothed_us > 0 => seconds(row.rtt_smoothed_us),
        11 => count(row.delta.retransmits),
        12 => count(u64::from(row.reset_by.is_some())),
        _ => None,
    }
}
