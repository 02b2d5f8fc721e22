//! What happens beyond the limits: counted, never silent, found again.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use tapetum_probes::tcp::{Options, Row, flags};
use tapetum_testkit::skip_this;

use super::watch::{Watch, What, finish, pair};

fn open(listener: &TcpListener, connections: usize) -> Vec<(TcpStream, TcpStream)> {
    (0..connections).map(|_| pair(listener)).collect()
}

fn close(streams: Vec<(TcpStream, TcpStream)>) {
    for (client, server) in streams {
        finish(client, server);
    }
}

/// The maximum is the whole kernel's: where somebody else opened a connection meanwhile, the numbers
/// are not ours to judge, and it is tried again.
const TRIES: usize = 5;

#[test]
fn beyond_the_maximum_sockets_are_counted_and_the_count_stays_exact() {
    for _ in 0..TRIES {
        let Some(foreign) = sixteen_of_forty() else {
            return;
        };
        if foreign == 0 {
            return;
        }
    }
    skip_this(
        "probes",
        "needs a kernel on which others open no connections for a moment",
    );
}

/// `Some(n)`: it holds, or `n` connections of others were seen.
fn sixteen_of_forty() -> Option<usize> {
    let options = Options {
        max_connections: 16,
        ..Options::default()
    };
    let mut watch = Watch::start(&options)?;
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    for round in 1..=3_u64 {
        let streams = open(&listener, 20);
        let opened = watch.probe.counters().expect("counts");
        let alive = watch.sweep().len();
        close(streams);
        std::thread::sleep(std::time::Duration::from_millis(20));
        let closed = watch.probe.counters().expect("counts");
        watch.drain();
        if watch.foreign > 0 {
            break;
        }
        assert_eq!((opened.tracked, alive), (16, 16), "{opened:?}");
        assert_eq!(opened.over_limit, 24 * round, "{opened:?}");
        assert_eq!(
            (closed.tracked, closed.births),
            (0, 16 * round),
            "{closed:?}"
        );
        assert_eq!(closed.closes, 16 * round);
        assert_eq!(watch.of(What::Closed).len() as u64, 16 * round);
    }
    Some(watch.foreign)
}

#[test]
fn under_a_storm_with_adoptions_and_sweeps_every_connection_is_counted_in_and_out() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let storm: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
                for _ in 0..500 {
                    let streams = open(&listener, 1);
                    close(streams);
                }
            })
        })
        .collect();
    while !storm.iter().all(|work| work.is_finished()) {
        watch.probe.adopt().expect("adopts");
        watch.drain();
        let sweep = watch.probe.sweep().expect("sweeps");
        let counters = watch.probe.counters().expect("counts");
        assert!(sweep.whole(), "{sweep:?} {counters:?}");
        watch.drain();
    }
    storm
        .into_iter()
        .for_each(|work| work.join().expect("stormed"));
    watch.sweep();
    let closed = watch.of(What::Closed);
    let ids = ids(&closed);
    assert_eq!(
        (closed.len(), ids.len()),
        (4_000, 4_000),
        "each exactly once"
    );
    // No row of a connection ever follows its close.
    let mut over = BTreeSet::new();
    for (what, row) in &watch.rows {
        match what {
            What::Closed => assert!(over.insert(row.id)),
            What::Opened | What::Adopted | What::Swept => assert!(!over.contains(&row.id)),
            _ => {}
        }
    }
    let counters = watch.probe.counters().expect("counts");
    assert_eq!(
        counters.births + counters.adopted,
        counters.closes + counters.ghosts + counters.tracked
    );
    assert_eq!(counters.ring_lost.total(), 0);
}

fn ids(rows: &[Row]) -> BTreeSet<u64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn what_the_ring_had_no_room_for_is_counted_and_found_by_the_next_sweep() {
    let options = Options {
        ring_bytes: Some(16_384),
        ..Options::default()
    };
    let Some(mut watch) = Watch::start(&options) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let mut streams = open(&listener, 60);
    watch.drain();
    let told = ids(&watch.of(What::Opened));
    let lost = watch.probe.counters().expect("counts").ring_lost;
    assert_eq!(told.len() as u64 + lost.opened, 120);
    assert!(lost.opened > 0);

    // A ring this small does not hold a sweep either: that is said, too.
    let sweep = watch.probe.sweep().expect("sweeps");
    assert!(!sweep.whole() && sweep.rows > 0);
    let lost = watch.probe.counters().expect("counts").ring_lost;
    assert!(
        lost.swept + lost.listeners + lost.sweep_marks >= sweep.lost,
        "{sweep:?} {lost:?}"
    );
    watch.drain();

    // With fewer connections it does, and whoever was never told appears, marked.
    close(streams.split_off(20));
    watch.drain();
    let rows = watch.sweep();
    assert_eq!(rows.len(), 40);
    let unknown: Vec<_> = rows
        .iter()
        .filter(|row| !row.has(flags::ANNOUNCED))
        .collect();
    let swept_before: BTreeSet<u64> = ids(&watch.of(What::Swept));
    assert!(unknown.iter().all(|row| !told.contains(&row.id)));
    assert!(told.is_subset(&told.union(&swept_before).copied().collect()));
    // Closes that found no room: the sockets are absent from a whole sweep.
    let alive = ids(&rows);
    let closed = ids(&watch.of(What::Closed));
    let silent = told
        .iter()
        .filter(|id| !alive.contains(id) && !closed.contains(id))
        .count();
    let lost = watch.probe.counters().expect("counts").ring_lost;
    assert_eq!(closed.len() as u64 + lost.closed, 80);
    assert!(silent as u64 <= lost.closed);
    close(streams);
}

#[test]
fn records_do_not_wake_their_reader_each() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let work = std::thread::spawn(move || close(open(&listener, 1_000)));
    let mut wakes = 0;
    while !work.is_finished() {
        if watch
            .probe
            .wait(std::time::Duration::from_millis(50))
            .expect("waits")
        {
            wakes += 1;
        }
        watch.drain();
    }
    work.join().expect("worked");
    assert_eq!(watch.until(What::Closed, 2_000).len(), 2_000);
    // Each wake takes in what gathered: on average far more than one record.
    assert!(wakes > 0 && wakes < 400, "{wakes} wakes for 4000 records");
}
