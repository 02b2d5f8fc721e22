//! Exact totals, bounded series and up-down counters that come back to zero, under any schedule of
//! rows, waits, flushes and scrapes, any budget, and too little memory for open connections.

use proptest::prelude::*;
use tapetum_model::EndReason;

use super::*;

/// What a schedule does next.
#[derive(Clone, Debug)]
enum Step {
    /// A row with so many bytes, between two of the ends, on a port.
    Move(u8, u8, u16, u16),
    /// A connection begins; it is closed some time later, under another far end.
    Open(u8, u8, u16),
    Wait(u16),
    Flush,
    Scrape,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12u8, 0..12u8, 0..40u16, 0..5_000u16).prop_map(|(a, b, p, n)| Step::Move(a, b, p, n)),
        4 => (0..12u8, 0..12u8, 0..40u16).prop_map(|(a, b, p)| Step::Open(a, b, p)),
        1 => (1..2_000u16).prop_map(Step::Wait),
        2 => Just(Step::Flush),
        1 => Just(Step::Scrape),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Deltas of everything that ever left are the totals of the records; so are the cumulative
    /// values of the series of all times; no two series are the same; the bound holds.
    #[test]
    fn totals_of_points_are_totals_of_records(
        steps in proptest::collection::vec(step(), 1..120),
        budget in 16usize..80,
    ) {
        let ends: Vec<_> = (0..12).map(|n| entity(&n.to_string())).collect();
        let mut bench = Bench::new(budget, false);
        bench.aggregate.held = Held::new(8);
        let (mut sent, mut opened, mut rtts) = (0i64, 0i64, 0u64);
        let mut open: Vec<Connection> = Vec::new();
        let mut left = Left::default();
        for (n, step) in steps.iter().enumerate() {
            match *step {
                Step::Move(client, server, port, bytes) => {
                    let mut row = connection(&ends[client as usize], &ends[server as usize], port, 1);
                    row.delta.bytes_sent = u64::from(bytes);
                    row.flags = Flags::RTT;
                    row.rtt_smoothed_us = u32::from(bytes) + 1;
                    sent += i64::from(bytes);
                    rtts += 1;
                    bench.take(vec![row]);
                }
                Step::Open(client, server, port) => {
                    // Some share their addresses, as in two network namespaces.
                    let mut row =
                        connection(&ends[client as usize], &ends[server as usize], port, n as u16 % 50);
                    row.flags = Flags::OPENED | Flags::ACTIVE;
                    opened += 1;
                    bench.take(vec![row.clone()]);
                    if n % 3 == 0 && let Some(mut old) = open.pop() {
                        old.flags = Flags::CLOSED | Flags::INACTIVE;
                        old.end_reason = Some(EndReason::Fin);
                        old.remote.entity = Some(Arc::clone(&ends[n % 12]));
                        bench.take(vec![old]);
                    }
                    open.push(row);
                }
                Step::Wait(seconds) => bench.seconds += u64::from(seconds),
                Step::Flush => left.take(bench.flush(Flush::Timer)),
                Step::Scrape => {
                    let points = bench.flush(Flush::Scrape);
                    let rest = points.iter().filter(|point| {
                        said(point)["source.service.name"] == OTHER
                    });
                    prop_assert!(points.len() - rest.count() <= budget);
                    let same: HashSet<_> =
                        points.iter().map(|point| (point.metric, &*point.attributes)).collect();
                    prop_assert_eq!(same.len(), points.len());
                    prop_assert_eq!(sum_of(&points, Metric::ConnectionsActive), open.len() as i64);
                }
            }
        }
        let mut closes = std::mem::take(&mut open);
        for row in &mut closes {
            row.flags = Flags::INACTIVE;
        }
        bench.take(closes);
        left.take(bench.flush(Flush::Drain));
        let count = |metric| left.sums.get(&metric).copied().unwrap_or((0, 0));
        prop_assert_eq!(count(Metric::FlowBytes), (sent, sent));
        prop_assert_eq!(count(Metric::ConnectionsOpened), (opened, opened));
        prop_assert_eq!(count(Metric::ConnectionsActive), (0, 0));
        prop_assert!(left.active.values().all(|value| *value == 0), "{:?}", left.active);
        prop_assert_eq!(left.rtts, (rtts, rtts));
    }
}

/// What a backend would have of all flushes: cumulative by (series, start), and the sum of deltas.
#[derive(Default)]
struct Left {
    sums: BTreeMap<Metric, (i64, i64)>,
    last: BTreeMap<(Metric, String, UnixNanos), i64>,
    active: BTreeMap<(String, UnixNanos), i64>,
    rtt_last: BTreeMap<(String, UnixNanos), u64>,
    rtts: (u64, u64),
}

impl Left {
    fn take(&mut self, points: Vec<Point>) {
        for point in points {
            let series = format!("{:?}", point.attributes);
            match point.value {
                PointValue::Sum { cumulative, delta } => {
                    let last = self
                        .last
                        .entry((point.metric, series.clone(), point.start))
                        .or_default();
                    let sums = self.sums.entry(point.metric).or_default();
                    sums.0 += cumulative - *last;
                    sums.1 += delta;
                    *last = cumulative;
                    if point.metric == Metric::ConnectionsActive {
                        self.active.insert((series, point.start), cumulative);
                    }
                }
                PointValue::Histogram { cumulative, delta } if point.metric == Metric::Rtt => {
                    let last = self.rtt_last.entry((series, point.start)).or_default();
                    self.rtts.0 += cumulative.count - *last;
                    self.rtts.1 += delta.map_or(0, |delta| delta.count);
                    *last = cumulative.count;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_lived_between_two_rows_was_never_active_and_a_life_is_from_birth() {
    let row = |flags| Connection {
        flags,
        ..sample::connection(0)
    };
    let of = |row: Connection, metric| {
        let rows = Connections::from(vec![row]);
        let line = rows
            .contributions()
            .iter()
            .position(|line| line.metric == metric);
        rows.quantity(0, line.unwrap())
    };
    let short = row(Flags::OPENED | Flags::CLOSED | Flags::ACTIVE | Flags::INACTIVE);
    assert_eq!(of(short, Metric::ConnectionsActive), None);
    let active = of(row(Flags::ACTIVE), Metric::ConnectionsActive);
    assert_eq!(active, Some(Quantity::Add(1)));
    // The last of several spans began later than the connection.
    let old = row(Flags::CLOSED | Flags::INACTIVE);
    let old = Connection {
        start: old.end,
        ..old
    };
    let life = old.end.since(old.born).as_secs_f64();
    assert!(life > 0.0);
    assert_eq!(
        of(old, Metric::ConnectionDuration),
        Some(Quantity::Observe(life))
    );
}

#[test]
fn points_cover_the_windows_of_their_records() {
    let mut bench = Bench::new(2_000, false);
    bench.take(vec![sample::connection(0)]);
    bench.seconds += 1;
    bench.take(vec![sample::connection(2)]);
    let now = moment(bench.seconds);
    let out = bench.books.flush(&mut bench.aggregate, Flush::Timer, now);
    let window = out.batches.first().expect("points").window;
    assert_eq!((window.start, window.end), (moment(0).unix, moment(2).unix));
}
