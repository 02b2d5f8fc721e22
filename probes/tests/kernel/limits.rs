//! What happens beyond the limits: counted, never silent, found again.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use tapetum_probes::tcp::{Options, Row, flags};

use super::watch::{Watch, What, finish, pair};

fn open(listener: &TcpListener, connections: usize) -> Vec<(TcpStream, TcpStream)> {
    (0..connections).map(|_| pair(listener)).collect()
}

fn close(streams: Vec<(TcpStream, TcpStream)>) {
    for (client, server) in streams {
        finish(client, server);
    }
}

#[test]
fn beyond_the_maximum_sockets_are_counted_and_the_count_stays_exact() {
    let options = Options {
        max_connections: 16,
        ..Options::default()
    };
    let Some(mut watch) = Watch::start(&options) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    for round in 1..=3_u64 {
        let streams = open(&listener, 20);
        let counters = watch.probe.counters().expect("counts");
        assert_eq!(counters.tracked, 16, "{counters:?}");
        assert_eq!(counters.over_limit, 24 * round, "{counters:?}");
        assert_eq!(watch.sweep().len(), 16);
        close(streams);
        watch.until(What::Closed, 16 * usize::try_from(round).expect("small"));
        let counters = watch.probe.counters().expect("counts");
        assert_eq!(
            (counters.tracked, counters.births),
            (0, 16 * round),
            "{counters:?}"
        );
        assert_eq!(counters.closes, 16 * round);
    }
    assert_eq!(watch.sweep().len(), 0);
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
