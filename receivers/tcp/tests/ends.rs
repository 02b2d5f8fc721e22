//! How connections end, and connects that never became one.

use tapetum_model::{Connection, EndReason, ErrorType, Flags, ResetOrigin};
use tapetum_probes::tcp::{Event, Row, flags};

use super::world::{MS, SECOND, World, client, wall};

const ETIMEDOUT: u16 = 110;
const ECONNRESET: u16 = 104;
const ECONNREFUSED: u16 = 111;
const EHOSTUNREACH: u16 = 113;
const ENETUNREACH: u16 = 101;
const ECONNABORTED: u16 = 103;
const ENOBUFS: u16 = 105;

const SYN_SENT: u8 = 2;
const ESTABLISHED: u8 = 1;
const LAST_ACK: u8 = 9;

/// The one row of a connection that ends like this.
fn ended(state: u8, error: u16, more: u32) -> Connection {
    let mut world = World::new();
    let row = Row {
        state,
        error,
        flags: flags::ISN | more,
        at_ns: 3 * SECOND,
        ..client()
    };
    let row = match state {
        SYN_SENT => Row {
            established_ns: 0,
            handshake_us: 0,
            flags: more,
            packets_sent: 3,
            ..row
        },
        _ => row,
    };
    world.table.on(Event::Closed(&row));
    let mut rows = world.settle(4 * SECOND);
    assert_eq!((rows.len(), world.table.tracked()), (1, 0));
    rows.remove(0)
}

#[test]
fn established_connections_end_for_a_reason() {
    use EndReason as E;
    let local = Some(ResetOrigin::Local);
    let remote = Some(ResetOrigin::Remote);
    let cases = [
        (LAST_ACK, 0, 0, E::Fin, None, None),
        (
            ESTABLISHED,
            ECONNRESET,
            flags::RST_RECEIVED,
            E::RstReceived,
            Some(ErrorType::Reset),
            remote,
        ),
        (
            LAST_ACK,
            ECONNRESET,
            flags::RST_RECEIVED,
            E::RstReceived,
            Some(ErrorType::Reset),
            remote,
        ),
        (ESTABLISHED, 0, 0, E::RstSent, Some(ErrorType::Reset), local),
        (
            ESTABLISHED,
            ECONNABORTED,
            0,
            E::RstSent,
            Some(ErrorType::Reset),
            local,
        ),
        (
            ESTABLISHED,
            ETIMEDOUT,
            0,
            E::Timeout,
            Some(ErrorType::Timeout),
            None,
        ),
        (
            ESTABLISHED,
            EHOSTUNREACH,
            0,
            E::Timeout,
            Some(ErrorType::HostUnreachable),
            None,
        ),
    ];
    for (state, error, more, reason, kind, reset_by) in cases {
        let row = ended(state, error, more);
        assert_eq!(
            (row.end_reason, row.error, row.reset_by),
            (Some(reason), kind, reset_by),
            "{state} {error}"
        );
        assert!(row.flags.has(Flags::CLOSED | Flags::SPAN) && !row.flags.has(Flags::FAILED));
    }
}

#[test]
fn failed_connects_say_why() {
    use EndReason as E;
    let cases = [
        (
            ECONNREFUSED,
            flags::RST_RECEIVED,
            E::RstReceived,
            ErrorType::ConnectionRefused,
        ),
        (ETIMEDOUT, 0, E::Timeout, ErrorType::Timeout),
        (EHOSTUNREACH, 0, E::Unknown, ErrorType::HostUnreachable),
        (ENETUNREACH, 0, E::Unknown, ErrorType::NetUnreachable),
        (ENOBUFS, 0, E::Unknown, ErrorType::Other),
    ];
    for (error, more, reason, kind) in cases {
        let row = ended(SYN_SENT, error, more);
        assert_eq!(
            (row.end_reason, row.error),
            (Some(reason), Some(kind)),
            "{error}"
        );
        assert_eq!(row.flags, Flags::SPAN | Flags::FAILED, "it never was open");
        assert_eq!((row.start, row.end), (wall(SECOND - MS), wall(3 * SECOND)));
        assert_eq!((row.period.packets_sent, row.handshake_us), (3, 0));
    }
}

#[test]
fn an_abandoned_connect_is_no_error() {
    let row = ended(SYN_SENT, 0, 0);
    assert_eq!(
        (row.end_reason, row.error, row.reset_by),
        (Some(EndReason::Cancelled), None, None)
    );
    assert_eq!(row.flags, Flags::SPAN);
}

#[test]
fn a_failed_connect_has_a_trace_of_its_own() {
    let (one, two) = (ended(SYN_SENT, ETIMEDOUT, 0), ended(SYN_SENT, ETIMEDOUT, 0));
    assert_eq!(one.parent, None);
    assert_eq!(
        one.trace, two.trace,
        "the same random key gives the same first draw"
    );
    let mut world = World::new();
    let failed = Row {
        established_ns: 0,
        flags: 0,
        state: SYN_SENT,
        error: ETIMEDOUT,
        ..client()
    };
    world.table.on(Event::Closed(&failed));
    world.table.on(Event::Closed(&failed));
    let rows = world.settle(SECOND);
    assert_ne!(rows[0].trace, rows[1].trace);
}

#[test]
fn a_connect_of_which_no_packet_left_is_nothing() {
    let mut world = World::new();
    let never = Row {
        established_ns: 0,
        packets_sent: 0,
        local_port: 0,
        state: SYN_SENT,
        error: 99,
        ..client()
    };
    world.table.on(Event::Closed(&never));
    assert!(world.settle(SECOND).is_empty());
}

#[test]
fn a_connect_that_still_tries_is_not_told_by_a_sweep() {
    let mut world = World::new();
    let trying = Row {
        established_ns: 0,
        state: SYN_SENT,
        flags: 0,
        ..client()
    };
    assert!(world.sweep(10 * SECOND, &[trying]).is_empty());
    assert_eq!(world.table.tracked(), 0);
}
