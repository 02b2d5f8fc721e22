//! Private memory: with nothing to do, with many connections, and while it starts.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tapetum_benches::{Figure, note};

use crate::agent::{Spans, own};
use crate::scene::Scene;

/// Ends of connections, as `max_connections` counts them.
const ENDS: u32 = 65_536;
/// A process may not open enough descriptors for all of them.
const HOLDERS: u32 = 8;
/// A sweep, a flush, and what they leave behind.
const SETTLED: Duration = Duration::from_secs(12);

pub(crate) fn measure(scene: &Scene) -> Result<Vec<Figure>> {
    let agent = scene.agent(Spans::Sampled)?;
    note(
        "private memory, most while starting",
        mib(agent.peak_kib),
        "MiB",
    );
    thread::sleep(SETTLED);
    let idle = figure("private memory, idle", agent.rss_anon_kib()?, 16.0, "");

    let mut holders = Vec::new();
    for holder in 0..HOLDERS {
        // Below the range that the connections themselves take their ports from.
        let port = 900 + u16::try_from(holder)?;
        let at = SocketAddr::new(scene.server.v4(), port).to_string();
        let connections = (ENDS / 2 / HOLDERS).to_string();
        holders.push(own(&scene.server, &["hold", &at, &connections])?);
    }
    thread::sleep(SETTLED);
    let tracked = agent.metric(9465, "tapetum_connections_tracked", "")?;
    ensure!(
        tracked >= f64::from(ENDS) * 0.98,
        "it tracks only {tracked} of {ENDS} ends"
    );
    let how = format!("{tracked} ends tracked, born while it watched");
    let many = figure(
        "private memory, 65 536 ends",
        agent.rss_anon_kib()?,
        48.0,
        &how,
    );
    agent.stop()?;

    let agent = scene.agent(Spans::Sampled)?;
    note(
        "private memory, most while taking in 65 536",
        mib(agent.peak_kib),
        "MiB",
    );
    thread::sleep(SETTLED);
    let how = "of connections older than the agent";
    let adopted = figure(
        "private memory, 65 536 ends",
        agent.rss_anon_kib()?,
        48.0,
        how,
    );
    agent.stop()?;
    Ok(vec![idle, many, adopted])
}

pub(crate) fn figure(name: &str, kib: u64, most: f64, how: &str) -> Figure {
    Figure::at_most(name, mib(kib), "MiB", most, how)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
