//! What an agent takes from the traffic that it watches: with and without one by turns, and by turns
//! which goes first, so that what drifts on a machine drifts for both. A pair of turns gives one ratio; said
//! is the middle one, and between which two it lies 95 times of 100.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use tapetum_benches::{Figure, median, note};

use crate::agent::Spans;
use crate::scene::{Scene, Short};

const IPERF_PAIRS: usize = 11;
const IPERF_SECONDS: u32 = 2;
const SHORT_PAIRS: usize = 15;
const SHORT: u32 = 40_000;
/// What loading and unloading leave behind in the kernel is over by then.
const SETTLED: Duration = Duration::from_secs(3);

pub(crate) fn measure(scene: &Scene) -> Result<Vec<Figure>> {
    // The first of everything is slow: caches, neighbours, the allocator of the kernel.
    scene.iperf(1)?;
    scene.short(SHORT / 4)?;
    let iperf = pairs(scene, IPERF_PAIRS, || scene.iperf(IPERF_SECONDS))?;
    let rates = Rates::of(&iperf.turns, |rate| *rate);
    let peers = "NetObserv 8-12, Retina 51";
    let mut figures = vec![rates.figure("iperf3", "Gbit/s", peers, iperf.memory_kib)];
    let short = pairs(scene, SHORT_PAIRS, || scene.short(SHORT))?;
    let rates = Rates::of(&short.turns, |short| short.rate);
    let peers = "NetObserv 10, Retina 71";
    figures.push(rates.figure("40 000 short connections", "/s", peers, short.memory_kib));
    say_where_it_goes(&short);
    Ok(figures)
}

/// What was measured by turns.
struct Pairs<T> {
    /// Without an agent, with one.
    turns: Vec<(T, T)>,
    /// The most private memory that an agent had behind it.
    memory_kib: u64,
    /// What each agent used of the processors meanwhile.
    agents: Vec<Duration>,
}

fn pairs<T>(scene: &Scene, count: usize, work: impl Fn() -> Result<T>) -> Result<Pairs<T>> {
    let mut pairs = Pairs {
        turns: Vec::new(),
        memory_kib: 0,
        agents: Vec::new(),
    };
    for pair in 0..count {
        let turn = if pair % 2 == 0 {
            let without = without(scene, &work)?;
            (without, with(scene, &work, &mut pairs)?)
        } else {
            let with = with(scene, &work, &mut pairs)?;
            (without(scene, &work)?, with)
        };
        pairs.turns.push(turn);
    }
    Ok(pairs)
}

/// The pause and the work of a start come before both kinds of run.
fn without<T>(scene: &Scene, work: &impl Fn() -> Result<T>) -> Result<T> {
    scene.agent(Spans::Sampled)?.stop()?;
    thread::sleep(SETTLED);
    work()
}

fn with<T>(scene: &Scene, work: &impl Fn() -> Result<T>, pairs: &mut Pairs<T>) -> Result<T> {
    let agent = scene.agent(Spans::Sampled)?;
    thread::sleep(SETTLED);
    let before = agent.cpu()?;
    let done = work()?;
    pairs.agents.push(agent.cpu()? - before);
    pairs.memory_kib = pairs.memory_kib.max(agent.rss_anon_kib()?);
    agent.stop()?;
    Ok(done)
}

/// How fast it went.
struct Rates {
    without: Vec<f64>,
    with: Vec<f64>,
}

impl Rates {
    fn of<T>(turns: &[(T, T)], rate: impl Fn(&T) -> f64) -> Rates {
        Rates {
            without: turns.iter().map(|(without, _)| rate(without)).collect(),
            with: turns.iter().map(|(_, with)| rate(with)).collect(),
        }
    }

    fn figure(&self, what: &str, unit: &str, peers: &str, memory_kib: u64) -> Figure {
        let middle = |rates: &Vec<f64>| median(rates.clone());
        note(
            &format!("{what}, without an agent"),
            middle(&self.without),
            unit,
        );
        note("  with one", middle(&self.with), unit);
        let mib = memory_kib as f64 / 1024.0;
        note("  its private memory behind it", mib, "MiB");
        let ratios = self.with.iter().zip(&self.without);
        let mut lost: Vec<f64> = ratios
            .map(|(with, without)| 100.0 * (1.0 - with / without))
            .collect();
        lost.sort_by(f64::total_cmp);
        let at = surely(lost.len());
        let how = format!(
            "{} pairs, 95 of 100 times between {:.1} and {:.1}; runs without one differ by {:.1} %; {peers}",
            lost.len(),
            lost[at],
            lost[lost.len() - 1 - at],
            self.spread()
        );
        Figure::at_most("  lost with one", median(lost), "%", 3.0, &how)
    }

    /// How far the middle half of the runs without an agent lies apart.
    fn spread(&self) -> f64 {
        let mut runs = self.without.clone();
        runs.sort_by(f64::total_cmp);
        let (low, high) = (runs[runs.len() / 4], runs[runs.len() * 3 / 4]);
        100.0 * (high - low) / median(runs)
    }
}

/// Which of so many sorted values the middle of all that could have been measured lies above, 97.5 times
/// of 100: each is on either side of it like a coin that is thrown.
fn surely(values: usize) -> usize {
    let (mut chance, mut sum) = (0.5_f64.powi(i32::try_from(values).unwrap_or(i32::MAX)), 0.0);
    for at in 0..values / 2 {
        sum += chance;
        if sum > 0.025 {
            return at.saturating_sub(1);
        }
        chance *= (values - at) as f64 / (at + 1) as f64;
    }
    0
}

/// Processor time of a short connection: what those who talk spend more, and what the agent spends. Unlike
/// the rate it hardly depends on what else the machine does.
fn say_where_it_goes(short: &Pairs<Short>) {
    let us = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(SHORT);
    let talk = short.turns.iter().map(|(without, _)| us(without.cpu));
    let more = short
        .turns
        .iter()
        .map(|(without, with)| us(with.cpu) - us(without.cpu));
    let agents = short.agents.iter().map(|agent| us(*agent));
    note(
        "processor time a connection, both who talk",
        median(talk.collect()),
        "us",
    );
    note("  more of it with an agent", median(more.collect()), "us");
    note("  and in the agent", median(agents.collect()), "us");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        assert_eq!([5, 6, 11, 15, 25].map(surely), [0, 0, 1, 3, 7]);
    }
}
