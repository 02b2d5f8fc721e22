//! Connection records -> metric points: what a record costs in known series, and beyond the budget.

use std::time::{Duration, Instant};

use tapetum_benches::{Counting, figure, note};
use tapetum_model::Batch;
use tapetum_pipeline::{Build, Flush, Output, Processor};
use tapetum_testkit::contract::moment;
use tapetum_testkit::{context, sample, settings};

const RECORDS: usize = 4_096;
const RUNS: usize = 200;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() {
    let batch = sample::connections(RECORDS);
    let mut aggregate = build("series = 100_000\npods = false\nflush = \"10s\"");
    take(&mut *aggregate, batch.clone());
    let (points, _) = flush(&mut *aggregate, Flush::Timer);
    // The histograms of the period have their size after the first time.
    take(&mut *aggregate, batch.clone());

    println!("{RECORDS} connection records of 100 workloads -> {points} points");
    let record = |taken: Duration| taken.as_nanos() as f64 / RECORDS as f64;
    let known = least(&mut *aggregate, &batch);
    figure(
        "aggregate, series known",
        record(known),
        "ns/record",
        1_000.0,
    );
    let copy = batch.clone();
    let (allocations, _) = ALLOCATOR.during(|| take(&mut *aggregate, copy));
    let each = allocations as f64 / RECORDS as f64;
    figure("allocations a record", each, "", 0.0);

    let mut tight = build("series = 16\npods = false\nflush = \"10s\"");
    let beyond = least(&mut *tight, &batch);
    note("  where the budget is used up", record(beyond), "ns/record");
    let (points, taken) = flush(&mut *aggregate, Flush::Scrape);
    let point = taken.as_nanos() as f64 / points as f64;
    note("  a scrape", point, "ns/point");
}

fn build(options: &str) -> Box<dyn Processor> {
    let Build::Processor(build) = tapetum_processors::aggregate::COMPONENT.build else {
        unreachable!("aggregate is a processor")
    };
    build(&settings(options), &context("aggregate")).expect("its settings are right")
}

/// The quickest of many runs; copying the batch is not the processor's work.
fn least(aggregate: &mut dyn Processor, batch: &Batch) -> Duration {
    let runs = (0..RUNS).map(|_| take(aggregate, batch.clone()));
    runs.min().unwrap_or_default()
}

fn take(aggregate: &mut dyn Processor, batch: Batch) -> Duration {
    let mut out = Output::default();
    let begun = Instant::now();
    aggregate.process(batch, moment(10), &mut out);
    begun.elapsed()
}

fn flush(aggregate: &mut dyn Processor, why: Flush) -> (u64, Duration) {
    let mut out = Output::default();
    let begun = Instant::now();
    aggregate.flush(why, moment(10), &mut out);
    (out.made, begun.elapsed())
}
