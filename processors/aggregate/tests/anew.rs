//! A receiver that is made anew finds again what is open: nothing may count twice, or for ever.

use std::time::Duration;

use tapetum_pipeline::Engine;
use tapetum_testkit::{Asker, Graph, Source, options};
use tokio::time::sleep;

use super::*;

fn rows(flags: Flags, of: std::ops::Range<u64>) -> Vec<Connection> {
    let row = |n| Connection {
        flags,
        role: Role::Client,
        end_reason: None,
        ..sample::connection(16 * n)
    };
    of.map(row).collect()
}

/// What a scrape says of the connections that are open, and since when.
async fn active(asker: &Asker) -> (i64, UnixNanos) {
    let batches = asker.collect().await.expect("it is answered");
    let points = batches.into_iter().flat_map(|batch| match batch.payload {
        Payload::Points(points) => points,
        other => panic!("{other:?}"),
    });
    let active = points.filter(|point| point.metric == Metric::ConnectionsActive);
    active.fold((0, UnixNanos(0)), |(sum, start), point| match point.value {
        PointValue::Sum { cumulative, .. } => (sum + cumulative, start.max(point.start)),
        other => panic!("{other:?}"),
    })
}

#[tokio::test(start_paused = true)]
async fn after_a_receiver_failed_each_open_connection_is_active_once() {
    let (source, asker) = (Source::default(), Asker::default());
    let spec = Graph::default()
        .source("in", &source)
        .component(
            "aggregate",
            &COMPONENT,
            settings("series = 2000\npods = false\nflush = \"10s\""),
        )
        .asker("ask", &asker)
        .pipeline("main", &["in"], &["aggregate"], &["ask"])
        .spec();
    let running = Engine::start(spec, options(1)).await.unwrap();
    let batch = |rows| Batch {
        window: Window::default(),
        ..sample::batch(rows)
    };
    source
        .send(batch(rows(Flags::OPENED | Flags::ACTIVE, 0..5)))
        .await
        .unwrap();
    let before = active(&asker).await;
    assert_eq!(before.0, 5);
    sleep(Duration::from_secs(1)).await;
    source.panic().await;
    sleep(Duration::from_secs(1)).await;
    // Two closed while nobody looked.
    source
        .send(batch(rows(Flags::ADOPTED | Flags::ACTIVE, 0..3)))
        .await
        .unwrap();
    let after = active(&asker).await;
    assert_eq!(after.0, 3);
    assert!(after.1 > before.1, "a new start: {after:?} {before:?}");
    source
        .send(batch(rows(Flags::CLOSED | Flags::INACTIVE, 0..3)))
        .await
        .unwrap();
    assert_eq!(active(&asker).await.0, 0);
    assert!(running.books().0.iter().all(|book| book.tally.balances()));
    running.stop().await;
}
