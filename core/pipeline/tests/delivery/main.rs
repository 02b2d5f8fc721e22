//! From the queue to the backend.

mod held;
mod losses;
mod policies;
mod refusal;
mod retries;

use std::time::Duration;

use tapetum_model::{Batch, Loss, Metric, Origin, PointValue, Signal};
use tapetum_pipeline::{Answer, Encoded, Engine, Full, Kind, Pressure, Running, Tally};
use tapetum_testkit::{Event, Graph, Sink, Source, Step, Work, options, sample};
use tokio::time::{Instant, sleep};

/// A queue's cost of a message of `n` items of 100 bytes.
fn cost(n: u64) -> u64 {
    let message = Encoded {
        signal: Signal::Connections,
        items: n,
        bytes: vec![0; n as usize * 100].into(),
    };
    message.cost_bytes()
}

fn one(source: &Source, sink: &Sink) -> Graph {
    Graph::default().source("in", source).sink("out", sink)
}

fn main(graph: Graph) -> Graph {
    graph.pipeline("main", &["in"], &[], &["out"])
}

fn tally(running: &Running, id: &str) -> Tally {
    let books = running.books();
    assert!(
        books.0.iter().all(|book| book.tally.balances()),
        "{books:?}"
    );
    *books
        .of(Kind::Exporter, id, None)
        .expect("the exporter has a book")
}

fn from(origin: Origin, items: usize) -> Batch {
    Batch {
        origin,
        ..sample::connections(items)
    }
}
