//! What `aggregate` promises, one case a test; `bounds` has its limits, `totals` the promise
//! under any schedule.

use std::collections::{BTreeMap, HashSet};

use tapetum_model::{
    Attr, Connection, Connections, End, Entity, ErrorType, Flags, Metric, PointValue, Records,
    Role, SpanId, Value,
};
use tapetum_otlp::names::{self, OTHER};
use tapetum_pipeline::Size;
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

mod anew;
mod bounds;
mod totals;

/// A processor under test, its books and the wall of time before it.
struct Bench {
    aggregate: Aggregate,
    context: Context,
    books: Books,
    seconds: u64,
}

impl Bench {
    fn new(series: usize, pods: bool) -> Self {
        let settings = settings(&format!(
            "series = {series}\npods = {pods}\nflush = \"10s\""
        ));
        let context = context("aggregate");
        Self {
            aggregate: Aggregate::new(settings.read().unwrap(), &context),
            context,
            books: Books::default(),
            seconds: 1,
        }
    }

    fn take(&mut self, rows: Vec<Connection>) {
        let now = moment(self.seconds);
        let mut batch = sample::batch(rows);
        batch.window = Window {
            start: moment(self.seconds - 1).unix,
            end: now.unix,
        };
        let out = self.books.process(&mut self.aggregate, batch, now);
        assert!(out.batches.is_empty());
    }

    fn flush(&mut self, why: Flush) -> Vec<Point> {
        let out = self
            .books
            .flush(&mut self.aggregate, why, moment(self.seconds));
        out.batches
            .into_iter()
            .flat_map(|batch| match batch.payload {
                Payload::Points(points) => points,
                _ => panic!("only points leave"),
            })
            .filter(|point| point.metric < Metric::RecordsIn)
            .collect()
    }

    fn folded(&self, reason: &str) -> u64 {
        let labels = [(Attr::Reason, reason)];
        self.context
            .telemetry
            .counter(Metric::AggregateFolded, &labels)
            .value()
    }
}

fn entity(name: &str) -> Arc<Entity> {
    Arc::new(Entity::new([(Attr::ServiceName, Arc::from(name))]))
}

/// A client's connection to a server's port, without any measure yet.
fn connection(client: &Arc<Entity>, server: &Arc<Entity>, port: u16, n: u16) -> Connection {
    let end = |entity: &Arc<Entity>, port| End {
        entity: Some(Arc::clone(entity)),
        ..End::of(([10, 0, 0, 1], port).into())
    };
    Connection {
        local: end(client, n),
        remote: end(server, port),
        role: Role::Client,
        flags: Flags::default(),
        end_reason: None,
        delta: Default::default(),
        born: UnixNanos(u64::from(n)),
        ..sample::connection(0)
    }
}

fn said(point: &Point) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Static(text) => (*text).to_owned(),
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
    };
    let pairs = point.attributes.0.iter();
    pairs
        .map(|(attr, value)| (names::attribute(attr).into_owned(), text(value)))
        .collect()
}

fn sum_of(points: &[Point], metric: Metric) -> i64 {
    points
        .iter()
        .filter(|point| point.metric == metric)
        .map(|point| match point.value {
            PointValue::Sum { cumulative, .. } => cumulative,
            _ => 0,
        })
        .sum()
}

#[test]
fn a_byte_sent_is_said_by_its_sender_and_a_byte_received_by_its_receiver() {
    let mut bench = Bench::new(100, false);
    let mut row = connection(&entity("web"), &entity("api"), 8080, 1);
    row.delta.bytes_sent = 10;
    row.delta.bytes_received = 7;
    row.remote.service = Some(Arc::new(tapetum_model::Service {
        namespace: "shop".into(),
        name: "api".into(),
    }));
    bench.take(vec![row]);
    let points = bench.flush(Flush::Scrape);
    let seen: Vec<_> = points.iter().map(said).collect();
    let expect = |pairs: &[(&str, &str)]| {
        let mut all: BTreeMap<_, _> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        all.insert("network.transport".into(), "tcp".into());
        all.insert("server.port".into(), "8080".into());
        all
    };
    assert!(seen.contains(&expect(&[
        ("source.service.name", "web"),
        ("destination.service.name", "api"),
        ("destination.k8s.service.name", "api"),
        ("destination.k8s.namespace.name", "shop"),
        ("network.io.direction", "transmit"),
    ])));
    assert!(seen.contains(&expect(&[
        ("source.service.name", "api"),
        ("destination.service.name", "web"),
        ("network.io.direction", "receive"),
    ])));
    assert_eq!(seen.len(), 2);
}

#[test]
fn containers_of_one_workload_share_a_series_unless_pods_are_asked_for() {
    for (pods, series) in [(false, 2), (true, 6)] {
        let mut bench = Bench::new(1_000, pods);
        let rows = (0..3).map(|n| {
            // Three pods of the first workload, of one zone each, to pods of another.
            let mut row = connection(&sample::entity(n), &sample::entity(n + 30), 80, 1);
            row.delta.bytes_sent = 1;
            row.delta.packets_sent = 1;
            row
        });
        let mut rows: Vec<_> = rows.collect();
        for row in &mut rows {
            for end in [&mut row.local, &mut row.remote] {
                let named = end.entity.as_ref().unwrap();
                let kept = named
                    .attributes()
                    .iter()
                    .filter(|(attr, _)| *attr != Attr::Zone)
                    .cloned();
                end.entity = Some(Arc::new(Entity::new(kept)));
            }
        }
        bench.take(rows);
        let points = bench.flush(Flush::Timer);
        assert_eq!(points.len(), series);
        let has_pod = said(&points[0]).contains_key("source.k8s.pod.name");
        assert_eq!(has_pod, pods);
    }
}

#[test]
fn a_scrape_shows_all_and_changes_nothing() {
    let mut bench = Bench::new(1_000, false);
    bench.take((0..64).map(sample::connection).collect());
    let first = bench.flush(Flush::Scrape);
    assert_eq!(first, bench.flush(Flush::Scrape));
    assert_eq!(first, bench.flush(Flush::Timer));
    let after = bench.flush(Flush::Scrape);
    assert_eq!(after.len(), first.len());
    for (point, before) in after.iter().zip(&first) {
        assert_eq!(point.start, before.start);
        match (&point.value, &before.value) {
            (
                PointValue::Sum { cumulative, delta },
                PointValue::Sum {
                    cumulative: was, ..
                },
            ) => assert_eq!((cumulative, *delta), (was, 0)),
            (
                PointValue::Histogram { cumulative, delta },
                PointValue::Histogram {
                    cumulative: was, ..
                },
            ) => assert_eq!((cumulative, delta), (was, &None)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_idle_series_ends_once_and_comes_back_with_a_new_start() {
    let mut bench = Bench::new(100, false);
    let mut row = connection(&entity("web"), &entity("api"), 80, 1);
    row.delta.bytes_sent = 5;
    bench.take(vec![row.clone()]);
    let first = bench.flush(Flush::Timer);
    bench.seconds += 15 * 60 - 1;
    assert_eq!(bench.flush(Flush::Timer).len(), 1);
    bench.seconds += 2;
    let last = bench.flush(Flush::Timer);
    let values: Vec<_> = last.iter().map(|point| &point.value).collect();
    assert_eq!(values, [&PointValue::Ended]);
    assert!(bench.flush(Flush::Timer).is_empty() && bench.flush(Flush::Scrape).is_empty());

    bench.take(vec![row]);
    let back = bench.flush(Flush::Timer);
    assert_eq!(sum_of(&back, Metric::FlowBytes), 5);
    assert_eq!(back[0].attributes, first[0].attributes);
    assert!(back[0].start >= last[0].time && last[0].start == first[0].start);
}

#[test]
fn a_series_that_ends_is_told_its_last_value_first() {
    let mut bench = Bench::new(100, false);
    let mut row = connection(&entity("web"), &entity("api"), 80, 1);
    row.delta.bytes_sent = 5;
    bench.take(vec![row]);
    bench.seconds += 3_600; // no flush came in all that time
    assert_eq!(sum_of(&bench.flush(Flush::Timer), Metric::FlowBytes), 5);
    bench.seconds += 10;
    assert_eq!(bench.flush(Flush::Timer)[0].value, PointValue::Ended);
}

#[test]
fn what_is_open_does_not_idle_and_comes_back_to_zero() {
    let mut bench = Bench::new(100, false);
    let mut row = connection(&entity("web"), &entity("api"), 80, 1);
    row.flags = Flags::ACTIVE;
    bench.take(vec![row.clone()]);
    bench.seconds += 2 * 3_600;
    bench.flush(Flush::Timer);
    bench.seconds += 10;
    let still = bench.flush(Flush::Timer);
    assert_eq!(sum_of(&still, Metric::ConnectionsActive), 1);

    // The far end got its name only now, and the wall clock was set; the series that the birth entered
    // is the one that it leaves.
    row.flags = Flags::INACTIVE;
    row.born = UnixNanos(77);
    row.remote.entity = Some(entity("renamed"));
    bench.take(vec![row.clone()]);
    let points = bench.flush(Flush::Timer);
    assert_eq!(points.len(), 1);
    assert_eq!(sum_of(&points, Metric::ConnectionsActive), 0);

    // A second end of the same connection is nobody's.
    bench.take(vec![row]);
    assert_eq!(bench.flush(Flush::Scrape).len(), 1);
}

#[test]
fn a_measure_of_a_span_is_its_exemplar() {
    let mut bench = Bench::new(100, false);
    let mut row = connection(&entity("web"), &entity("api"), 80, 1);
    row.flags = Flags::SPAN | Flags::RTT;
    row.rtt_smoothed_us = 1_500;
    row.span = SpanId([7; 8]);
    bench.take(vec![row.clone()]);
    let exemplar = bench.flush(Flush::Timer)[0].exemplar.unwrap();
    assert_eq!((exemplar.trace, exemplar.span), (row.trace, row.span));
    assert!((exemplar.value - 0.0015).abs() < 1e-9);
    row.flags = Flags::RTT;
    bench.take(vec![row]);
    assert_eq!(bench.flush(Flush::Scrape)[0].exemplar, Some(exemplar));
    assert_eq!(bench.flush(Flush::Timer)[0].exemplar, None);
}

#[test]
fn completeness_goes_with_the_points() {
    let mut bench = Bench::new(100, false);
    let mut batch = sample::connections(8);
    batch.loss.ring = 3;
    let mut out = Output::default();
    bench.aggregate.process(batch, moment(2), &mut out);
    bench.aggregate.flush(Flush::Timer, moment(10), &mut out);
    assert_eq!(out.absorbed, 8);
    let Payload::Points(points) = &out.batches[0].payload else {
        panic!("points")
    };
    let lost: Vec<_> = points
        .iter()
        .filter(|point| point.metric == Metric::RecordsLost)
        .map(|point| (said(point)["stage"].clone(), point.value.clone()))
        .collect();
    let sum = |cumulative| PointValue::Sum {
        cumulative,
        delta: cumulative,
    };
    let expected = [("ring", 3), ("limit", 0), ("queue", 0)];
    assert_eq!(
        lost,
        expected.map(|(stage, lost)| (stage.to_owned(), sum(lost)))
    );
    assert!(points.iter().any(|point| point.metric == Metric::WindowEnd));
    assert_eq!(out.batches[0].loss.ring, 3);
}

#[test]
fn its_options_are_read_and_its_bound_follows_them() {
    let problems = (COMPONENT.check)(&settings("series = 20\npods = false\nflush = \"1ms\""));
    assert_eq!(problems[0].path, ["flush"]);
    let defaults = settings(COMPONENT.example);
    assert!((COMPONENT.check)(&defaults).is_empty());
    let bound = (COMPONENT.bound)(&defaults);
    assert!(bound.user_bytes < 128 << 20, "{}", Size(bound.user_bytes));
    let Build::Processor(build) = COMPONENT.build else {
        panic!("a processor")
    };
    let built = build(&defaults, &context("aggregate")).unwrap();
    assert_eq!(built.flush_every(), Some(Duration::from_secs(10)));
}

#[test]
fn records_of_another_kind_of_batch_pass() {
    let mut bench = Bench::new(100, false);
    let rows = Records::Connections(vec![sample::connection(1)].into());
    assert_eq!(rows.signal(), COMPONENT.takes[0]);
    let points = Batch {
        payload: Payload::Points(Vec::new()),
        ..sample::connections(1)
    };
    let out = bench.books.process(&mut bench.aggregate, points, moment(1));
    assert_eq!(out.batches.len(), 1);
}
