//! The lines and the table are what committed files say.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapetum_model::{
    Attr, Attributes, Entity, ExponentialHistogram, Metric, Payload, Point, PointValue, Records,
    UnixNanos, Value,
};
use tapetum_pipeline::{Clock as _, Encode, Export, Outcome};
use tapetum_testkit::{Held, contract, sample};

use super::live::{Live, PAIRS_MAX, cut};
use super::show::{Lines, Screen, Table, Writer};

/// What was written, seen from the test.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A reader that went away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn points() -> Vec<Point> {
    let point = |metric, value| Point {
        metric,
        attributes: Arc::new(Attributes(Box::new([
            (
                Attr::Source(Box::new(Attr::ServiceName)),
                Value::Text("web\u{1b}".into()),
            ),
            (Attr::NetworkIoDirection, Value::Static("transmit")),
            (Attr::ServerPort, Value::Int(443)),
        ]))),
        start: UnixNanos(0),
        time: UnixNanos(1_767_225_600_000_000_000),
        value,
        exemplar: None,
    };
    let mut histogram = ExponentialHistogram::default();
    histogram.record(0.001);
    histogram.record(0.003);
    let cumulative = Arc::new(histogram);
    vec![
        point(
            Metric::FlowBytes,
            PointValue::Sum {
                cumulative: 12_345,
                delta: 5,
            },
        ),
        point(
            Metric::Rtt,
            PointValue::Histogram {
                cumulative,
                delta: None,
            },
        ),
        point(
            Metric::ProbeRunTime,
            PointValue::Sum {
                cumulative: 1_500_000_000,
                delta: 0,
            },
        ),
        point(Metric::BuildInfo, PointValue::Gauge(1.0)),
        point(Metric::FlowBytes, PointValue::Ended),
    ]
}

#[tokio::test]
async fn a_span_is_one_line_and_so_is_a_point() {
    let page = Page::default();
    let mut batch = sample::connections(32);
    let (spans, said) = contract::encode(&mut Lines, &batch);
    assert_eq!((spans.len(), said.filtered), (1, 2));
    let of_points = points();
    let count = of_points.len() as u64;
    batch.payload = Payload::Points(of_points);
    let (points, said) = contract::encode(&mut Lines, &batch);
    assert_eq!((points[0].items, said.filtered), (count, 0));
    let mut writer = Writer::new(Box::new(page.clone()));
    for message in [&spans[0], &points[0]] {
        let outcome = writer.export(message.clone()).await;
        assert!(
            matches!(outcome, Outcome::Ok { rejected: 0, .. }),
            "{outcome:?}"
        );
    }
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, include_str!("lines.txt"));
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_panic() {
    let (messages, _) = contract::encode(&mut Lines, &sample::connections(1));
    let outcome = Writer::new(Box::new(Closed))
        .export(messages[0].clone())
        .await;
    assert!(matches!(outcome, Outcome::Permanent { .. }), "{outcome:?}");
}

#[test]
fn the_table_adds_up_what_the_rows_say() {
    let clock = Arc::new(Held::default());
    let live = Arc::new(Mutex::new(Live::default()));
    let mut table = Table::new(Arc::clone(&live), clock.clone());
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        let (messages, said) = contract::encode(&mut table, &sample::connections(16));
        assert_eq!(
            (messages.len(), messages[0].items, said.filtered),
            (1, 16, 0)
        );
    }
    let now = clock.now().monotonic;
    let drawn = live.lock().unwrap().draw(now, 130, 24);
    assert_eq!(drawn, include_str!("table.txt"));
    let narrow = live.lock().unwrap().draw(now, 60, 6);
    assert_eq!(narrow.lines().count(), 6);
    assert!(narrow.lines().all(|line| line.chars().count() <= 60));
    let later = live
        .lock()
        .unwrap()
        .draw(now + Duration::from_secs(120), 130, 24);
    assert!(
        later.starts_with("tapetum  1 pairs"),
        "only what is open is still shown: {later}"
    );
}

#[test]
fn a_long_name_is_cut_and_its_port_is_not() {
    assert_eq!(cut("collector-56c6b:4320", 20), "collector-56c6b:4320");
    assert_eq!(cut("collector-56c6b62:4320", 19), "collector-56c…:4320");
    assert_eq!(cut("a-process-of-a-long-name", 10), "a-process…");
}

#[test]
fn the_table_is_bounded() {
    let mut live = Live::default();
    let mut row = sample::connection(0);
    for n in 0..2 * PAIRS_MAX {
        row.local.entity = Some(Arc::new(Entity::new([(
            Attr::ServiceName,
            format!("pod-{n}").into(),
        )])));
        live.add(&row, Duration::from_millis(n as u64));
    }
    let drawn = live.draw(Duration::from_secs(2), 130, 5_000);
    assert!(drawn.starts_with(&format!("tapetum  {PAIRS_MAX} pairs  1024 connections")));
    assert!(drawn.contains("pod-1023 ") && !drawn.contains("pod-0 "));
}

#[tokio::test]
async fn the_screen_is_drawn_and_left() {
    let page = Page::default();
    let clock = Arc::new(Held::default());
    let live = Arc::new(Mutex::new(Live::default()));
    let mut table = Table::new(Arc::clone(&live), clock.clone());
    let mut screen = Screen::new(live, clock, Writer::new(Box::new(page.clone())));
    let (messages, _) = contract::encode(&mut table, &sample::connections(16));
    let outcome = screen.export(messages[0].clone()).await;
    assert!(matches!(outcome, Outcome::Ok { .. }), "{outcome:?}");
    let text = || String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    while !text().contains("CLIENT") {
        tokio::task::yield_now().await;
    }
    assert!(text().starts_with("\x1b[2J\x1b[Htapetum"));
    let mut lines = Vec::new();
    let Payload::Records(Records::Connections(rows)) = sample::connections(1).payload else {
        panic!("rows")
    };
    assert_eq!(rows.len(), 1);
    let other = tapetum_model::Batch {
        payload: Payload::Points(points()),
        ..sample::connections(1)
    };
    assert_eq!(table.encode(&other, &mut lines).filtered, 5);
    assert!(lines.is_empty());
}
