//! Rows of every shape, for property tests.

use std::net::SocketAddr;

use proptest::prelude::*;
use tapetum_model::{
    Connection, Counters, End, EndReason, ErrorType, Flags, Role, SpanId, SpanLink, TraceId,
    UnixNanos,
};
use tapetum_testkit::sample;

/// Rows of every shape, within what the kernel can say.
pub(crate) fn row() -> impl Strategy<Value = Connection> {
    let ends = (any_end(), any_end(), prop::option::of(any_address()));
    let ids = (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        prop::option::of(any::<[u8; 8]>()),
        any::<bool>(),
    );
    let times = (any::<u64>(), any::<u64>());
    let bits = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    let reasons = (
        prop::option::of(prop::sample::select(
            &[ErrorType::Timeout, ErrorType::HostUnreachable][..],
        )),
        prop::option::of(prop::sample::select(
            &[EndReason::Fin, EndReason::Cancelled][..],
        )),
    );
    let measures = (
        any_counters(),
        any_counters(),
        any::<[u32; 5]>(),
        any::<bool>(),
    );
    (0u64..64, ends, ids, times, bits, reasons, measures).prop_map(
        |(n, ends, ids, times, bits, reasons, measures)| {
            let mut row = sample::connection(n);
            (row.local, row.remote, row.answered_by) = ends;
            (row.trace, row.span) = (TraceId(ids.0), SpanId(ids.1));
            row.parent = ids.2.map(SpanId);
            row.link = ids.3.then_some(SpanLink {
                trace: row.trace,
                span: row.span,
            });
            (row.start, row.end) = (UnixNanos(times.0), UnixNanos(times.1));
            row.role = if bits.0 { Role::Client } else { Role::Server };
            row.flags = Flags::default();
            for (set, flag) in [
                (bits.1, Flags::SPAN),
                (bits.2, Flags::TOTALS),
                (bits.3, Flags::REMOTE_PARENT),
            ] {
                if set {
                    row.flags |= flag;
                }
            }
            row.process = row.process.filter(|_| bits.4);
            (row.error, row.end_reason) = reasons;
            (row.period, row.total) = (measures.0, measures.1);
            if measures.3 {
                [
                    row.rtt_smoothed_us,
                    row.rtt_min_us,
                    row.rtt_variance_us,
                    row.handshake_us,
                    row.reordering,
                ] = measures.2;
            }
            row
        },
    )
}

fn any_end() -> impl Strategy<Value = End> {
    (
        any_address(),
        0u64..12,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(address, n, named, asked_for, translated)| {
            let mut end = End::of(address);
            end.entity = named.then(|| sample::entity(n));
            end.service = asked_for
                .then(|| sample::connection(16 * n).remote.service)
                .flatten();
            end.translated = translated;
            end
        })
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let v4 = (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from);
    let v6 = (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from);
    prop_oneof![v4, v6]
}

fn any_counters() -> impl Strategy<Value = Counters> {
    (any::<[u64; 8]>(), any::<[u8; 8]>()).prop_map(|(values, shifts)| {
        // Spread over all lengths of a varint, zero included.
        let at = |n: usize| values[n] >> (shifts[n] % 64) >> 1;
        Counters {
            bytes_sent: at(0),
            bytes_received: at(1),
            packets_sent: at(2),
            packets_received: at(3),
            retransmits: at(4),
            bytes_retransmitted: at(5),
            rwnd_limited_ns: at(6),
            sndbuf_limited_ns: at(7),
        }
    })
}
