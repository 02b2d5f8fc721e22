//! What was not told in order: connections older than the agent, lost births and closes, limits.

use tapetum_model::{Counters, EndReason, Flags, Role};
use tapetum_probes::tcp::{self as probe, Event, Row, flags};

use super::life::{at, born, closed, only};
use super::world::{MS, SECOND, World, client, listener, server, wall};
use crate::tcp::table::Noticed;

#[test]
fn an_adopted_connection_measures_from_its_adoption() {
    let mut world = World::new();
    let old = |seconds, sent| {
        let row = Row {
            born_ns: 5 * SECOND,
            established_ns: 5 * SECOND,
            handshake_us: 0,
            ..at(seconds, sent)
        };
        Row {
            flags: flags::ISN | flags::ADOPTED,
            ..row
        }
    };
    world.table.on(Event::Adopted(&old(5, 1_000_000)));
    let row = only(world.settle(5 * SECOND));
    assert_eq!(row.flags, Flags::ADOPTED | Flags::ACTIVE);
    assert_eq!((row.delta, row.period), Default::default());
    let row = only(world.sweep(10 * SECOND, &[old(10, 1_000_700)]));
    assert_eq!((row.delta.bytes_sent, row.period.bytes_sent), (700, 700));
    world.table.on(Event::Closed(&closed(old(12, 1_000_900))));
    let row = only(world.settle(12 * SECOND));
    assert_eq!(
        (row.period.bytes_sent, row.total.bytes_sent),
        (900, 1_000_900)
    );
    assert!(row.flags.has(Flags::TOTALS));
    assert_eq!((row.start, row.born), (wall(5 * SECOND), wall(5 * SECOND)));
}

#[test]
fn an_idle_adopted_connection_sends_nothing_until_it_moves() {
    let mut world = World::new();
    let old = Row {
        flags: flags::ISN | flags::ADOPTED,
        ..at(1, 5_000)
    };
    world.table.on(Event::Adopted(&old));
    world.settle(SECOND);
    assert!(
        world
            .sweep(
                70 * SECOND,
                &[Row {
                    at_ns: 70 * SECOND,
                    ..old
                }]
            )
            .is_empty()
    );
}

#[test]
fn an_adopted_end_that_is_listened_for_is_the_server() {
    let mut world = World::new();
    let unknown = Row {
        flags: flags::ISN | flags::ADOPTED,
        bytes_sent: 99,
        ..server()
    };
    let unknown = Row {
        isn_own: 2_001,
        ..unknown
    }
    .with_role(probe::Role::Unknown);
    // The listener is told after the connection, as a walk over open files may have it.
    world.table.on(Event::Adopted(&unknown));
    world.table.on(Event::Listening(&listener("0.0.0.0:80", 8)));
    let row = only(world.settle(2 * SECOND));
    assert_eq!((row.role, row.total.bytes_sent), (Role::Server, 100));
    let moved = Row {
        at_ns: 3 * SECOND,
        bytes_sent: 109,
        flags: unknown.flags | flags::ANNOUNCED,
        ..unknown
    };
    world.table.on(Event::Closed(&closed(moved)));
    let row = only(world.settle(3 * SECOND));
    assert_eq!((row.period.bytes_sent, row.total.bytes_sent), (10, 110));
    let mut other = World::new();
    other.table.on(Event::Opened(&client()));
    other.table.on(Event::Closed(&closed(client())));
    assert_eq!(
        only(other.settle(2 * SECOND)).trace,
        row.trace,
        "the ISNs are those of the client"
    );
    let mut elsewhere = World::new();
    elsewhere
        .table
        .on(Event::Listening(&listener("0.0.0.0:80", 9)));
    elsewhere.table.on(Event::Adopted(&unknown));
    assert_eq!(
        only(elsewhere.settle(2 * SECOND)).role,
        Role::Client,
        "another namespace listens"
    );
}

#[test]
fn a_birth_that_the_ring_lost_is_found_by_the_sweep() {
    let mut world = World::new();
    let row = only(world.sweep(10 * SECOND, &[at(10, 400)]));
    assert_eq!(
        row.flags,
        Flags::OPENED | Flags::ESTABLISHED | Flags::ACTIVE
    );
    assert_eq!((row.delta.bytes_sent, row.born), (400, wall(SECOND - MS)));
    assert_eq!(world.table.noticed().late_births, 1);
}

#[test]
fn a_birth_that_only_the_close_tells_is_one_row() {
    let mut world = World::new();
    let end = Row {
        flags: flags::ISN,
        ..closed(at(9, 400))
    };
    world.table.on(Event::Closed(&end));
    let row = only(world.settle(9 * SECOND));
    assert!(row.flags.has(Flags::OPENED | Flags::CLOSED | Flags::SPAN));
    assert_eq!((row.period.bytes_sent, row.start), (400, wall(SECOND - MS)));
}

#[test]
fn absence_from_a_whole_sweep_is_a_lost_close() {
    let mut world = born();
    world.sweep(10 * SECOND, &[at(10, 500)]);
    assert!(
        world.broken_sweep(20 * SECOND, &[], 3).is_empty(),
        "a sweep with losses proves nothing"
    );
    let row = only(world.sweep(30 * SECOND, &[]));
    assert_eq!(row.end_reason, Some(EndReason::Unknown));
    assert!(row.flags.has(Flags::CLOSED | Flags::SPAN | Flags::INACTIVE));
    assert_eq!(
        (row.end, row.period.bytes_sent),
        (wall(10 * SECOND), 500),
        "when it was seen last"
    );
    assert_eq!((row.delta, row.error), (Counters::default(), None));
    assert_eq!(
        world.table.noticed(),
        Noticed {
            lost_closes: 1,
            ..Noticed::default()
        }
    );
    assert_eq!(world.table.tracked(), 0);
}

#[test]
fn what_is_born_during_a_sweep_is_not_missed_by_it() {
    let mut world = World::new();
    world.sweep(10 * SECOND, &[]);
    world.table.on(Event::Opened(&Row {
        at_ns: 20 * SECOND + MS,
        ..client()
    }));
    world.settle(21 * SECOND);
    assert!(world.sweep(20 * SECOND, &[]).is_empty());
    assert_eq!(world.table.tracked(), 1);
}

#[test]
fn a_socket_that_connects_again_is_another_connection() {
    let mut world = born();
    let again = Row {
        born_ns: 5 * SECOND,
        established_ns: 5 * SECOND,
        at_ns: 5 * SECOND,
        isn_own: 77,
        ..client()
    };
    world.table.on(Event::Opened(&again));
    let rows = world.settle(6 * SECOND);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].end_reason, Some(EndReason::Unknown));
    assert!(rows[1].flags.has(Flags::OPENED) && rows[1].born == wall(5 * SECOND));
}

#[test]
fn beyond_the_limit_connections_are_counted() {
    let mut world = World::new();
    for id in 1..=6 {
        world.table.on(Event::Opened(&Row {
            id,
            isn_own: 9,
            ..client()
        }));
    }
    assert_eq!(world.settle(2 * SECOND).len(), 4);
    assert_eq!(world.table.noticed().over_limit, 2);
    let untracked = Row {
        id: 6,
        ..closed(at(3, 10))
    };
    world.table.on(Event::Closed(&untracked));
    assert!(
        world.settle(3 * SECOND).is_empty(),
        "its loss was counted at its birth"
    );
}

#[test]
fn a_counter_that_seems_to_go_back_takes_nothing_away() {
    let mut world = born();
    world.sweep(
        10 * SECOND,
        &[Row {
            bytes_received: 501,
            ..at(10, 0)
        }],
    );
    assert!(
        world
            .sweep(
                20 * SECOND,
                &[Row {
                    bytes_received: 500,
                    ..at(20, 0)
                }]
            )
            .is_empty()
    );
    let row = only(world.sweep(
        30 * SECOND,
        &[Row {
            bytes_received: 502,
            ..at(30, 0)
        }],
    ));
    assert_eq!(
        (row.delta.bytes_received, row.total.bytes_received),
        (1, 502)
    );
}

#[test]
fn rows_go_in_parts_where_there_are_many() {
    let mut world = World::new();
    for id in 1..=4 {
        world.table.on(Event::Opened(&Row {
            id,
            isn_own: id as u32,
            ..client()
        }));
    }
    let mut told = 0;
    let mut parts = 0;
    loop {
        let all = world.table.settle(2 * SECOND, 2);
        told += std::mem::take(&mut world.table.rows).len();
        parts += 1;
        if all {
            break;
        }
    }
    assert_eq!((told, world.table.waits()), (4, false));
    assert!(parts > 1);
}

#[test]
fn a_server_without_a_process_gets_that_of_the_mptcp_listener() {
    let process = |listens: Option<Row>, row: Row| {
        let mut world = World::new();
        if let Some(listener) = listens {
            world.table.on(Event::Listening(&listener));
        }
        world.table.on(Event::Opened(&row));
        only(world.settle(2 * SECOND)).process
    };
    let mptcp = Row {
        flags: flags::ADOPTED | flags::MPTCP,
        ..listener("[::]:80", 8)
    };
    let nobody = Row {
        pid: 0,
        comm: [0; 16],
        ..server()
    };
    let found = process(Some(mptcp), nobody).unwrap();
    assert_eq!((found.pid, &*found.executable), (600, "api"));
    assert_eq!(process(None, nobody), None);
    let plain = Row { flags: 0, ..mptcp };
    assert_eq!(process(Some(plain), nobody), None, "it hands its own on");
    let known = Row {
        pid: 700,
        ..server()
    };
    assert_eq!(process(Some(mptcp), known).unwrap().pid, 700);
    let asks = Row { pid: 0, ..client() };
    let near = Row {
        netns_cookie: 7,
        ..listener("0.0.0.0:40000", 7)
    };
    let near = Row {
        flags: mptcp.flags,
        ..near
    };
    assert_eq!(process(Some(near), asks), None, "a client is no heir");
}

#[test]
fn an_mptcp_listener_that_closed_or_was_not_swept_hands_nothing_on() {
    let mptcp = Row {
        flags: flags::ADOPTED | flags::MPTCP,
        ..listener("0.0.0.0:80", 8)
    };
    let nobody = Row { pid: 0, ..server() };
    let mut closes = World::new();
    closes.table.on(Event::Listening(&mptcp));
    closes.table.on(Event::ListenerClosed(&mptcp));
    closes.table.on(Event::Opened(&nobody));
    assert_eq!(only(closes.settle(2 * SECOND)).process, None);
    let mut swept = World::new();
    swept.table.on(Event::Listening(&mptcp));
    swept.sweep(10 * SECOND, &[mptcp]);
    swept.table.on(Event::Opened(&nobody));
    assert!(only(swept.settle(11 * SECOND)).process.is_some());
    swept.sweep(20 * SECOND, &[nobody]);
    let next = Row { id: 3, ..nobody };
    swept.table.on(Event::Opened(&next));
    let rows = swept.settle(21 * SECOND);
    assert!(rows.iter().all(|row| row.process.is_none()) && rows.len() == 1);
}
