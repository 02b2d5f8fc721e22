//! The scenarios: what is sent through what, and how the two programs are compared.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};
use tapetum_benches::{Figure, median, note};
use tapetum_model::OtlpSignal;
use tokio::time::{Instant, sleep};

use crate::core::cpu_time;
use crate::load::{Sent, send};
use crate::payload::Payload;
use crate::sink;
use crate::subject::{Pipeline, Subject};

/// One comparison.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    what: &'static str,
    signal: OtlpSignal,
    items: u64,
    pipeline: Pipeline,
    /// What the Collector does meanwhile.
    beside: Pipeline,
    /// Tapetum's CPU time by the Collector's.
    most: f64,
}

const PLAIN: Pipeline = Pipeline {
    is_persistent: false,
    is_compressed: false,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "spans",
        what: "100 spans a request",
        signal: OtlpSignal::Traces,
        items: 100,
        pipeline: PLAIN,
        beside: PLAIN,
        most: 0.17,
    },
    Scenario {
        name: "logs",
        what: "100 flow logs a request",
        signal: OtlpSignal::Logs,
        items: 100,
        pipeline: PLAIN,
        beside: PLAIN,
        most: 0.17,
    },
    Scenario {
        name: "large",
        what: "1 000 spans a request",
        signal: OtlpSignal::Traces,
        items: 1_000,
        pipeline: PLAIN,
        beside: PLAIN,
        most: 0.12,
    },
    Scenario {
        name: "persistent",
        what: "100 spans a request, all on disk first",
        signal: OtlpSignal::Traces,
        items: 100,
        pipeline: Pipeline {
            is_persistent: true,
            ..PLAIN
        },
        beside: PLAIN,
        most: 0.35,
    },
    Scenario {
        name: "zstd",
        what: "100 spans a request, zstd out",
        signal: OtlpSignal::Traces,
        items: 100,
        pipeline: Pipeline {
            is_compressed: true,
            ..PLAIN
        },
        beside: PLAIN,
        most: 0.45,
    },
];

const ROUNDS: usize = 3;
const WARM: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// Resident, under load.
const MEMORY_MIB: f64 = 40.0;

/// What one run of one program showed.
struct Run {
    seconds_a_million: f64,
    peak_mib: f64,
    private_mib: f64,
    items_a_second: f64,
}

impl Scenario {
    /// The Collector and Tapetum by turns.
    pub(crate) fn measure(&self, is_alone: bool) -> Result<Vec<Figure>> {
        let payload = Payload::new(self.signal, self.items);
        let bytes = payload.bytes.len() as f64 / self.items as f64;
        note(&format!("{}, an item", self.what), bytes, "bytes");
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            if !is_alone {
                theirs.push(run(Subject::Collector, self.beside, &payload)?);
            }
            ours.push(run(Subject::Tapetum, self.pipeline, &payload)?);
        }
        let of = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        for (subject, runs) in [(Subject::Collector, &theirs), (Subject::Tapetum, &ours)] {
            if runs.is_empty() {
                continue;
            }
            let name = subject.name();
            note(
                &format!("  {name}"),
                of(runs, |run| run.seconds_a_million),
                "CPU-s a million",
            );
            note(
                &format!("  {name}, at"),
                of(runs, |run| run.items_a_second),
                "items a second",
            );
            note(
                &format!("  {name}, private memory"),
                of(runs, |run| run.private_mib),
                "MiB",
            );
            note(
                &format!("  {name}, most resident"),
                of(runs, |run| run.peak_mib),
                "MiB",
            );
        }
        let mut figures = Vec::new();
        if !is_alone {
            let ratio =
                of(&ours, |run| run.seconds_a_million) / of(&theirs, |run| run.seconds_a_million);
            let name = format!("{}: CPU beside the Collector", self.what);
            figures.push(Figure::at_most(&name, ratio, "times", self.most, ""));
        }
        let name = format!("{}: resident", self.what);
        let most = of(&ours, |run| run.peak_mib);
        figures.push(Figure::at_most(&name, most, "MiB", MEMORY_MIB, ""));
        Ok(figures)
    }
}

fn run(subject: Subject, pipeline: Pipeline, payload: &Payload) -> Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_in(subject, pipeline, payload))
}

async fn run_in(subject: Subject, pipeline: Pipeline, payload: &Payload) -> Result<Run> {
    let dir = tempfile::tempdir()?;
    let (sink, received) = sink::start(payload.signal).await?;
    let running = subject.start(pipeline, sink, dir.path())?;
    let sent = Arc::new(Sent::default());
    let load = tokio::spawn(send(running.address, payload.clone(), Arc::clone(&sent)));
    sleep(WARM).await;
    let acknowledged = || sent.acknowledged.load(Ordering::Relaxed);
    let (before, cpu_before, begun) = (acknowledged(), cpu_time(running.pid())?, Instant::now());
    sleep(MEASURED).await;
    let cpu = cpu_time(running.pid())?.saturating_sub(cpu_before);
    let items = (acknowledged() - before) as f64;
    let took = begun.elapsed();
    let (peak_mib, private_mib) = running.memory_mib()?;
    sent.is_over.store(true, Ordering::Relaxed);
    load.await??;
    let name = subject.name();
    ensure!(items > 0.0, "{name} took nothing");

    // What was acknowledged arrives: else something else was measured.
    let give_up = Instant::now() + PATIENCE;
    let arrived = || received.items.load(Ordering::Relaxed);
    while arrived() < acknowledged() && Instant::now() < give_up {
        sleep(Duration::from_millis(50)).await;
    }
    ensure!(
        arrived() >= acknowledged(),
        "{name} acknowledged {} items, and {} arrived",
        acknowledged(),
        arrived()
    );
    Ok(Run {
        seconds_a_million: cpu.as_secs_f64() / items * 1e6,
        peak_mib,
        private_mib,
        items_a_second: items / took.as_secs_f64(),
    })
}
