//! Reloads of a graph that runs: what is kept, what is exchanged, what a failure leaves, and that nothing is
//! lost or leaked over many of them.

mod exchanged;
mod kept;
mod many;
mod refused;

use tapetum_model::{Attr, Metric, PointValue, Value};
use tapetum_pipeline::{Books, GraphSpec, Reloaded, Running};
use tapetum_testkit::options;

async fn reload(running: &mut Running, spec: GraphSpec) -> Reloaded {
    running.reload(spec, options(1)).await.expect("it is taken")
}

fn balanced(books: &Books) {
    for book in &books.0 {
        assert!(book.tally.balances(), "{book:?}");
    }
}

/// How often a reload became this.
fn reloads(running: &Running, outcome: &str) -> i64 {
    let points = running.metrics();
    let mut points = points
        .iter()
        .filter(|point| point.metric == Metric::Reloads);
    let point = points.find(|point| {
        let label = (Attr::Reason, Value::Text(outcome.into()));
        point.attributes.0.contains(&label)
    });
    match point.map(|point| &point.value) {
        Some(PointValue::Sum { cumulative, .. }) => *cumulative,
        other => panic!("{other:?}"),
    }
}
