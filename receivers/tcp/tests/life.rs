//! From birth to close: which rows there are, what each of them adds, which of them are spans.

use tapetum_model::{Connection, Counters, EndReason, Flags, Role};
use tapetum_probes::tcp::{Event, Row, flags};

use super::world::{MS, SECOND, World, client, wall};

/// The socket at `seconds` after its birth, with these bytes sent.
pub(super) fn at(seconds: u64, bytes_sent: u64) -> Row {
    let packets_sent = 2 + bytes_sent / 100;
    Row {
        at_ns: seconds * SECOND,
        bytes_sent,
        packets_sent,
        ..client()
    }
}

/// Closed in order.
pub(super) fn closed(row: Row) -> Row {
    Row {
        state: 5,
        flags: row.flags | flags::FIN_SENT | flags::FIN_ACKED | flags::ANNOUNCED,
        ..row
    }
}

/// A world in which [`client`] was born and told.
pub(super) fn born() -> World {
    let mut world = World::new();
    world.table.on(Event::Opened(&client()));
    assert_eq!(world.settle(2 * SECOND).len(), 1);
    world
}

pub(super) fn only(rows: Vec<Connection>) -> Connection {
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.into_iter().next().unwrap()
}

#[test]
fn a_birth_is_told_once_and_is_no_span() {
    let mut world = World::new();
    world.table.on(Event::Opened(&client()));
    let row = only(world.settle(2 * SECOND));
    assert_eq!(
        row.flags,
        Flags::OPENED | Flags::ESTABLISHED | Flags::ACTIVE
    );
    assert_eq!((row.role, row.handshake_us), (Role::Client, 1_000));
    assert_eq!(
        (row.born, row.start),
        (wall(SECOND - MS), wall(SECOND - MS))
    );
    assert_eq!((row.delta.packets_sent, row.delta.packets_received), (2, 1));
    assert_eq!(row.process.unwrap().pid, 500);
    assert!(world.settle(3 * SECOND).is_empty());
}

#[test]
fn a_sweep_tells_only_what_moved() {
    let mut world = born();
    assert!(world.sweep(10 * SECOND, &[at(10, 0)]).is_empty());
    let row = only(world.sweep(20 * SECOND, &[at(20, 700)]));
    assert_eq!(row.flags, Flags::RTT);
    assert_eq!((row.delta.bytes_sent, row.delta.packets_sent), (700, 7));
    assert_eq!((row.period.bytes_sent, row.period.packets_sent), (700, 9));
    assert_eq!((row.rtt_smoothed_us, row.end), (900, wall(20 * SECOND)));
    let row = only(world.sweep(30 * SECOND, &[at(30, 1_000)]));
    assert_eq!(
        (
            row.delta.bytes_sent,
            row.period.bytes_sent,
            row.total.bytes_sent
        ),
        (300, 1_000, 1_000)
    );
}

#[test]
fn segments_without_payload_are_told_but_are_no_sample_of_the_round_trip() {
    let mut world = born();
    let kept_alive = Row {
        packets_sent: 3,
        ..at(10, 0)
    };
    let row = only(world.sweep(10 * SECOND, &[kept_alive]));
    assert_eq!((row.flags, row.delta.packets_sent), (Flags::default(), 1));
}

#[test]
fn a_short_connection_is_one_row_that_says_all() {
    let mut world = World::new();
    world.table.on(Event::Opened(&client()));
    let end = Row {
        at_ns: SECOND + 5 * MS,
        ..closed(at(1, 300))
    };
    world.table.on(Event::Closed(&end));
    let row = only(world.settle(SECOND + 40 * MS));
    let all = Flags::OPENED | Flags::ESTABLISHED | Flags::ACTIVE | Flags::RTT | Flags::SPAN;
    assert_eq!(row.flags, all | Flags::CLOSED | Flags::INACTIVE);
    assert_eq!(
        (row.start, row.end),
        (wall(SECOND - MS), wall(SECOND + 5 * MS))
    );
    assert_eq!((row.end_reason, row.error), (Some(EndReason::Fin), None));
    assert_eq!((row.delta, row.period), (row.total, row.total));
    assert_eq!((row.handshake_us, row.parent), (1_000, None));
    assert_eq!(world.table.tracked(), 0);
}

#[test]
fn a_longer_connection_is_two_rows_and_one_span() {
    let mut world = born();
    world.table.on(Event::Closed(&closed(at(8, 500))));
    let row = only(world.settle(8 * SECOND));
    assert_eq!(
        row.flags,
        Flags::CLOSED | Flags::INACTIVE | Flags::SPAN | Flags::RTT
    );
    assert_eq!(
        (row.delta.packets_sent, row.period.packets_sent),
        (5, 7),
        "the birth told 2 of 7"
    );
    assert_eq!(
        row.handshake_us, 1_000,
        "the first span has it, and only the birth counts it"
    );
    assert!(!row.flags.has(Flags::TOTALS));
}

#[test]
fn intervals_are_spans_of_one_trace_and_sum_to_the_lifetime() {
    let mut world = born();
    let mut spans = Vec::new();
    for ten in 1..=25 {
        spans.extend(world.sweep(ten * 10 * SECOND, &[at(ten * 10, ten * 1_000)]));
    }
    world.table.on(Event::Closed(&closed(at(255, 25_100))));
    spans.extend(world.settle(255 * SECOND));
    let sent: u64 = spans.iter().map(|row| row.delta.bytes_sent).sum();
    assert_eq!(sent, 25_100);
    spans.retain(|row| row.flags.has(Flags::SPAN));
    let ends: Vec<u64> = spans
        .iter()
        .map(|row| (row.end.0 - wall(0).0) / SECOND)
        .collect();
    assert_eq!(ends, [60, 120, 180, 240, 255]);
    assert!(
        spans
            .windows(2)
            .all(|two| two[0].end == two[1].start && two[0].trace == two[1].trace)
    );
    assert!(
        spans[1..]
            .iter()
            .all(|row| row.parent == Some(spans[0].span))
    );
    assert!(spans[1..].iter().all(|row| row.handshake_us == 0));
    assert_eq!(
        spans.iter().map(|row| row.period.bytes_sent).sum::<u64>(),
        25_100
    );
    let (last, before) = spans.split_last().unwrap();
    assert!(last.flags.has(Flags::TOTALS) && last.total.bytes_sent == 25_100);
    assert!(
        before
            .iter()
            .all(|row| row.end_reason.is_none() && !row.flags.has(Flags::TOTALS))
    );
}

#[test]
fn where_nothing_moved_there_is_no_span_and_the_next_one_begins_later() {
    let mut world = born();
    assert!(
        only(world.sweep(60 * SECOND, &[at(60, 0)]))
            .flags
            .has(Flags::SPAN),
        "it was born in it"
    );
    assert!(world.sweep(120 * SECOND, &[at(120, 0)]).is_empty());
    assert!(world.sweep(180 * SECOND, &[at(180, 0)]).is_empty());
    let row = only(world.sweep(240 * SECOND, &[at(240, 10)]));
    assert_eq!(
        (row.start, row.end),
        (wall(180 * SECOND), wall(240 * SECOND))
    );
    world.table.on(Event::Closed(&closed(at(245, 10))));
    let row = only(world.settle(245 * SECOND));
    assert!(
        row.flags.has(Flags::SPAN | Flags::TOTALS),
        "the last span says how it ended"
    );
    assert_eq!(row.period, Counters::default());
}

#[test]
fn what_did_not_move_since_its_last_row_is_alive_and_its_interval_ends_all_the_same() {
    let mut world = born();
    let moved = only(world.sweep(10 * SECOND, &[at(10, 500)]));
    assert!(!moved.flags.has(Flags::SPAN));
    assert!(world.still_sweep(20 * SECOND, &[1]).is_empty());
    let span = only(world.still_sweep(60 * SECOND, &[1]));
    assert!(span.flags.has(Flags::SPAN));
    assert_eq!((span.end, span.period.bytes_sent), (wall(60 * SECOND), 500));
    assert_eq!(span.delta, Counters::default(), "it was told at its row");
    assert_eq!(span.rtt_smoothed_us, moved.rtt_smoothed_us);
    assert!(world.still_sweep(120 * SECOND, &[1]).is_empty());
    assert!(
        world.still_sweep(130 * SECOND, &[1, 99]).is_empty(),
        "99 has closed"
    );
    let lost = only(world.still_sweep(140 * SECOND, &[]));
    assert_eq!(lost.end_reason, Some(EndReason::Unknown));
}

#[test]
fn after_sixty_spans_a_new_trace_follows() {
    let mut world = born();
    let mut spans: Vec<Connection> = Vec::new();
    for n in 1..=62 {
        spans.push(only(world.sweep(n * 60 * SECOND, &[at(n * 60, n * 100)])));
    }
    assert_eq!(spans[59].trace, spans[0].trace);
    assert_ne!(spans[60].trace, spans[0].trace);
    assert_eq!(spans[60].link.map(|link| link.span), Some(spans[59].span));
    assert_eq!(
        (spans[60].parent, spans[61].parent),
        (None, Some(spans[60].span))
    );
}

#[test]
fn a_stop_sends_every_period_so_far_without_an_end_reason() {
    let mut world = born();
    world.table.rules.interval_ns = 0;
    let row = only(world.sweep(7 * SECOND, &[at(7, 600)]));
    assert!(row.flags.has(Flags::SPAN) && !row.flags.has(Flags::CLOSED));
    assert_eq!((row.period.bytes_sent, row.end_reason), (600, None));
    assert!(!row.flags.has(Flags::TOTALS), "the connection goes on");
    assert!(
        world.table.stop(usize::MAX) && world.table.rows.is_empty(),
        "all was said"
    );
}

#[test]
fn a_stop_without_its_sweep_still_says_what_was_known() {
    let mut world = born();
    world.sweep(10 * SECOND, &[at(10, 500)]);
    assert!(world.table.stop(usize::MAX));
    let row = only(std::mem::take(&mut world.table.rows));
    assert_eq!((row.period.bytes_sent, row.end), (500, wall(10 * SECOND)));
}

#[test]
fn a_socket_that_moves_while_it_is_read_takes_nothing_back() {
    let mut world = born();
    only(world.sweep(10 * SECOND, &[at(10, 900)]));
    let torn = Row {
        packets_sent: 50,
        ..at(20, 400)
    };
    let row = only(world.sweep(20 * SECOND, &[torn]));
    assert_eq!((row.delta.bytes_sent, row.delta.packets_sent), (0, 39));
    assert_eq!(row.total.bytes_sent, 900);
    let row = only(world.sweep(
        30 * SECOND,
        &[Row {
            packets_sent: 50,
            ..at(30, 1_000)
        }],
    ));
    assert_eq!((row.delta.bytes_sent, row.total.bytes_sent), (100, 1_000));
}

#[test]
fn reordering_is_said_where_some_was_seen() {
    let mut world = born();
    let counted = |seconds, sent, seen| Row {
        reordering: 3,
        reordering_seen: seen,
        ..at(seconds, sent)
    };
    // The kernel begins with three, which is no measure.
    let before = only(world.sweep(10 * SECOND, &[counted(10, 100, 0)]));
    let after = only(world.sweep(20 * SECOND, &[counted(20, 200, 1)]));
    assert_eq!((before.reordering, after.reordering), (0, 3));
}
