//! What an agent takes from the traffic that it watches: with and without one by turns, and by turns
//! which goes first, so that what drifts on a machine drifts for both.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use tapetum_benches::{Figure, median, note};

use crate::agent::Spans;
use crate::scene::Scene;

const IPERF_PAIRS: usize = 11;
const IPERF_SECONDS: u32 = 2;
const SHORT_PAIRS: usize = 7;
const SHORT: u32 = 40_000;
/// What loading and unloading leave behind in the kernel is over by then.
const SETTLED: Duration = Duration::from_secs(3);

pub(crate) fn measure(scene: &Scene) -> Result<Vec<Figure>> {
    // The first of everything is slow: caches, neighbours, the allocator of the kernel.
    scene.iperf(1)?;
    scene.short(SHORT / 4)?;
    let iperf = pairs(scene, IPERF_PAIRS, || scene.iperf(IPERF_SECONDS))?;
    let short = pairs(scene, SHORT_PAIRS, || scene.short(SHORT))?;
    Ok(vec![
        iperf.figure("iperf3", "Gbit/s", "NetObserv 8-12, Retina 51"),
        short.figure("40 000 short connections", "/s", "NetObserv 10, Retina 71"),
    ])
}

/// What was measured by turns.
#[derive(Default)]
struct Pairs {
    without: Vec<f64>,
    with: Vec<f64>,
    /// The most private memory that an agent had behind it.
    memory_kib: u64,
}

fn pairs(scene: &Scene, count: usize, work: impl Fn() -> Result<f64>) -> Result<Pairs> {
    let mut pairs = Pairs::default();
    for pair in 0..count {
        for turn in 0..2 {
            if (pair + turn) % 2 == 0 {
                // The pause and the work of a start come before both kinds of run.
                scene.agent(Spans::Sampled)?.stop()?;
                thread::sleep(SETTLED);
                pairs.without.push(work()?);
            } else {
                let agent = scene.agent(Spans::Sampled)?;
                thread::sleep(SETTLED);
                pairs.with.push(work()?);
                pairs.memory_kib = pairs.memory_kib.max(agent.rss_anon_kib()?);
                agent.stop()?;
            }
        }
    }
    Ok(pairs)
}

impl Pairs {
    fn figure(&self, what: &str, unit: &str, peers: &str) -> Figure {
        note(
            &format!("{what}, without an agent"),
            median(self.without.clone()),
            unit,
        );
        note("  with one", median(self.with.clone()), unit);
        note(
            "  its private memory behind it",
            self.memory_kib as f64 / 1024.0,
            "MiB",
        );
        let ratios = self.with.iter().zip(&self.without);
        let lost = ratios.map(|(with, without)| 100.0 * (1.0 - with / without));
        let spread = self.spread();
        let how = format!("runs without one differ by {spread:.1} %; {peers}");
        Figure::at_most("  lost with one", median(lost.collect()), "%", 3.0, &how)
    }

    /// How far the middle half of the runs without an agent lies apart: below that a difference says
    /// nothing.
    fn spread(&self) -> f64 {
        let mut runs = self.without.clone();
        runs.sort_by(f64::total_cmp);
        let (low, high) = (runs[runs.len() / 4], runs[runs.len() * 3 / 4]);
        100.0 * (high - low) / median(runs)
    }
}
