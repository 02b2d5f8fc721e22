//! Queues that use a disk: what does not fit into memory, what outlives the process, what a disk that
//! fails costs.

mod outlive;
mod simulation;
mod spill;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use tapetum_model::{Batch, Metric, Origin, PointValue, SpanId};
use tapetum_pipeline::{
    Answer, Durable, Engine, Full, GraphSpec, Kind, Options, Report, Running, Tally,
};
use tapetum_testkit::{Disk, Graph, Sink, Source, Step, options, sample};
use tokio::time::{Instant, sleep, timeout};

/// A backend, a disk, and one process after the other that sends from the one to the other.
struct World {
    disk: Disk,
    sink: Sink,
    queue: (u64, Option<Full>, u64, bool, Durable),
    rows: u64,
}

/// A process.
struct Life {
    source: Source,
    running: Running,
}

impl World {
    /// A queue of so many bytes in memory and on disk; an item takes 1000.
    fn new(size: u64, full: Option<Full>, disk: u64, persist: bool) -> Self {
        Self {
            disk: Disk::default(),
            sink: Sink::of_items(1000),
            queue: (size, full, disk, persist, Durable::Second),
            rows: 0,
        }
    }

    fn spec(&self, source: &Source) -> GraphSpec {
        let (size, full, disk, persist, sync) = self.queue;
        let graph = Graph::default()
            .source("in", source)
            .sink("out", &self.sink)
            .queue(size, full)
            .disk(disk, persist, sync)
            .pipeline("main", &["in"], &[], &["out"]);
        graph.spec()
    }

    fn options(&self) -> Options {
        Options {
            files: Arc::new(self.disk.clone()),
            ..options(1)
        }
    }

    async fn start(&self) -> Life {
        let source = Source::default();
        let running = Engine::start(self.spec(&source), self.options());
        let running = running.await.expect("nothing is wrong with it");
        Life { source, running }
    }

    /// Hands batches of `items` over, `count` of them; how many were taken.
    async fn send(&mut self, life: &Life, origin: Origin, items: u64, count: u64) -> u64 {
        let mut taken = 0;
        for _ in 0..count {
            let rows = self.rows..self.rows + items;
            let batch = Batch {
                origin,
                ..sample::batch(rows.map(sample::connection).collect())
            };
            if life.source.send(batch).await == Some(Answer::Accepted) {
                self.rows += items;
                taken += 1;
            }
        }
        taken
    }

    /// Every row that was taken, in order.
    fn taken(&self) -> Vec<SpanId> {
        (0..self.rows).map(|n| sample::connection(n).span).collect()
    }

    async fn until_delivered(&self, items: u64) {
        let begun = Instant::now();
        while self.sink.items() < items {
            assert!(
                begun.elapsed() < Duration::from_secs(3600),
                "{} of {items} came",
                self.sink.items()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn on_disk(&self) -> u64 {
        let files = self.disk.files();
        let segments = files
            .iter()
            .filter(|(path, _)| path.to_string_lossy().ends_with(".segment"));
        segments.map(|(_, length)| length).sum()
    }
}

impl Life {
    fn tally(&self) -> Tally {
        let books = self.running.books();
        let tally = books.of(Kind::Exporter, "out", None).expect("its line");
        assert!(tally.balances(), "{tally:?}");
        *tally
    }

    fn metric(&self, metric: Metric) -> i64 {
        let points = self.running.metrics();
        let of_metric = points.iter().filter(|point| point.metric == metric);
        let values = of_metric.map(|point| match &point.value {
            PointValue::Sum { cumulative, .. } => *cumulative,
            PointValue::Gauge(value) => *value as i64,
            other => panic!("{other:?}"),
        });
        values.sum()
    }

    async fn stop(self) -> Report {
        let report = self.running.stop().await;
        for book in &report.books.0 {
            assert!(book.tally.balances(), "{book:?}");
        }
        report
    }

    /// The process is killed: nothing of it does anything any more.
    async fn kill(self, disk: &Disk) {
        disk.kill();
        drop(self);
        sleep(Duration::from_millis(1)).await;
    }
}
