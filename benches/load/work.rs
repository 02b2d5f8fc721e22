//! What watching costs: seconds of the processors, runs and time of the kernel's programs.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use tapetum_benches::{Empty, Figure, note};
use tapetum_probes::loader::StatsOn;

use crate::agent::{Agent, Spans};
use crate::memory;
use crate::programs::Ran;
use crate::scene::Scene;

const IPERF_SECONDS: u32 = 6;
/// The probe sees the whole kernel, so other connections on it only add: the least round is what iperf3
/// costs.
const ROUNDS: usize = 3;
const SHORT: u32 = 4_000;
/// The agent's cost is counted until all that it has to say of the load has left: a sweep and a flush.
const UNTIL_SAID: Duration = Duration::from_secs(11);

/// One span of work of the agent.
struct Cost {
    cpu: f64,
    ran: Ran,
}

impl Cost {
    fn of(agent: &Agent, load: impl FnOnce() -> Result<f64>) -> Result<(Cost, f64)> {
        let (cpu, ran) = (agent.cpu()?, Ran::of(agent.pid())?);
        let rate = load()?;
        thread::sleep(UNTIL_SAID);
        let cost = Cost {
            cpu: (agent.cpu()? - cpu).as_secs_f64(),
            ran: Ran::of(agent.pid())?.since(ran),
        };
        Ok((cost, rate))
    }
}

pub(crate) fn measure(scene: &Scene) -> Result<Vec<Figure>> {
    let stats = StatsOn::new()?;
    let empty = Empty::attach()?;
    let mut figures = Vec::new();
    let agent = scene.agent(Spans::All)?;
    thread::sleep(UNTIL_SAID);

    let idle = || {
        thread::sleep(Duration::from_secs(u64::from(IPERF_SECONDS)));
        Ok(0.0)
    };
    let (cost, _) = Cost::of(&agent, idle)?;
    note("agent, 17 s of nothing", cost.cpu, "CPU-s");
    note(
        "  program runs meanwhile, of whatever else is here",
        cost.ran.runs as f64,
        "",
    );

    let mut least = Cost::of(&agent, || scene.iperf(IPERF_SECONDS))?;
    for _ in 1..ROUNDS {
        let (cost, rate) = Cost::of(&agent, || scene.iperf(IPERF_SECONDS))?;
        if cost.ran.runs < least.0.ran.runs {
            least = (cost, rate);
        }
    }
    let (cost, rate) = least;
    let how = format!("{rate:.1} Gbit/s; NetObserv 0.03, Retina 6.0");
    figures.push(Figure::at_most(
        "agent, 6 s of iperf3",
        cost.cpu,
        "CPU-s",
        0.05,
        &how,
    ));
    figures.push(Figure::at_most(
        "  program runs in all",
        cost.ran.runs as f64,
        "",
        3_000.0,
        "",
    ));
    agent.stop()?;

    for spans in [Spans::Sampled, Spans::All] {
        figures.extend(short(scene, spans, &empty)?);
    }
    drop((empty, stats));
    Ok(figures)
}

fn short(scene: &Scene, spans: Spans, empty: &Empty) -> Result<Vec<Figure>> {
    let agent = scene.agent(spans)?;
    thread::sleep(UNTIL_SAID);
    let port = format!("server_port=\"{}\"", scene.short_port());
    let closed = |with: &str| agent.metric(9464, "tcp_connections_closed_total", with);
    let before = (closed(&port)?, closed("")?);
    let (cost, rate) = Cost::of(&agent, || scene.short(SHORT))?;
    let (ours, all) = (closed(&port)? - before.0, closed("")? - before.1);

    let said = match spans {
        Spans::Sampled => "spans sampled as shipped",
        Spans::All => "every connection a span at both ends",
    };
    println!("     4 000 short connections, {said}: {rate:.0} a second");
    let missed = f64::from(2 * SHORT) - ours;
    let how = "NetObserv saw 1 250 of 4 000 by default, Retina 2 003 whole";
    let mut figures = vec![Figure::at_most(
        "  ends not seen, of 8 000",
        missed,
        "",
        0.0,
        how,
    )];
    let how = "NetObserv 0.05-0.17, Retina 2.4-2.8";
    figures.push(Figure::at_most("  agent", cost.cpu, "CPU-s", 0.05, how));
    // Others' connections on this kernel ran the same programs.
    let clock = empty.ns_per_run()? * cost.ran.runs as f64 / 1e3;
    let time_us = (cost.ran.time.as_secs_f64() * 1e6 - clock) / (all / 2.0);
    let how = format!(
        "{:.1} runs; the clock's {:.2} us taken off; NetObserv 15-17, Retina 151-164",
        cost.ran.runs as f64 / (all / 2.0),
        clock / (all / 2.0)
    );
    figures.push(Figure::at_most(
        "  kernel, a connection with both ends",
        time_us,
        "us",
        4.0,
        &how,
    ));
    let how = "resident in all: NetObserv 64-109, Retina 351-448";
    let kib = agent.rss_anon_kib()?;
    figures.push(memory::figure("  private memory then", kib, 24.0, how));
    agent.stop()?;
    Ok(figures)
}
