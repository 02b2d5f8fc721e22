//! The agent that is measured: the release build with the file that ships for hosts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tapetum_lab::{Place, Process, tapetum_program};

use crate::clock::cpu_time;

/// Spans and metrics to an OTLP server on this host, metrics to be scraped.
const HOST: &str = include_str!("../../config/host.toml");
const PATIENCE: Duration = Duration::from_secs(30);

/// Which spans it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spans {
    /// As the file ships: errors, and so many others a second.
    Sampled,
    /// Every one.
    All,
}

/// A running agent.
pub(crate) struct Agent {
    process: Process,
    place: Place,
    /// The most private memory that it had until it was ready.
    pub(crate) peak_kib: u64,
}

impl Agent {
    /// Starts one; it is ready when this returns.
    pub(crate) fn start(place: &Place, spans: Spans) -> Result<Agent> {
        let file = file(place, spans)?;
        let mut command = place.command(tapetum_program()?);
        command.args(["run", "-c"]).arg(file);
        let process = place.start("agent", &mut command)?;
        let mut agent = Agent {
            process,
            place: place.clone(),
            peak_kib: 0,
        };
        let (pid, is_ready) = (agent.pid(), AtomicBool::new(false));
        agent.peak_kib = thread::scope(|scope| {
            let peak = scope.spawn(|| peak_until(pid, &is_ready));
            let ready = agent.wait_until_ready();
            is_ready.store(true, Ordering::Relaxed);
            let peak = peak.join().unwrap_or(0);
            ready.map(|()| peak)
        })?;
        Ok(agent)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has used of the processors so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_time(self.pid())
    }

    /// Private memory now.
    pub(crate) fn rss_anon_kib(&self) -> Result<u64> {
        rss_anon_kib(self.pid()).context("the agent has ended")
    }

    /// Sum of a metric of the page on this port, over the series that have this text in them.
    pub(crate) fn metric(&self, port: u16, name: &str, with: &str) -> Result<f64> {
        let page = self.page(port, "metrics")?;
        let values = page.lines().filter_map(|line| {
            let labels = line.strip_prefix(name)?;
            let is_it = labels.starts_with(['{', ' ']) && labels.contains(with);
            is_it.then(|| labels.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        Ok(values.sum())
    }

    /// Stops it as a service manager would.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.signal("TERM")?;
        let status = self.process.wait(PATIENCE)?;
        if !status.success() {
            bail!("the agent failed: {}", self.process.errors());
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.ended()? {
                bail!("the agent ended ({status}): {}", self.process.errors());
            }
            if self.page(9465, "readyz").is_ok() {
                return Ok(());
            }
            if Instant::now() > give_up {
                bail!("the agent is not ready: {}", self.process.errors());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn page(&self, port: u16, path: &str) -> Result<String> {
        let url = format!("http://127.0.0.1:{port}/{path}");
        self.place.run("curl", &["--silent", "--fail", &url])
    }
}

/// Writes the file that ships, without its sampler's rate if every span is wanted.
fn file(place: &Place, spans: Spans) -> Result<PathBuf> {
    let mut text = HOST.to_owned();
    if spans == Spans::All {
        let sampled = "per_second = 50";
        if !text.contains(sampled) {
            bail!("config/host.toml no longer says `{sampled}`");
        }
        text = text.replace(sampled, "per_second = 0");
    }
    let file = place.dir().join("host.toml");
    fs::write(&file, text)?;
    Ok(file)
}

fn peak_until(pid: u32, is_ready: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !is_ready.load(Ordering::Relaxed) {
        peak = peak.max(rss_anon_kib(pid).unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    peak
}

fn rss_anon_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Starts one of this program's own commands in a place; it listens when this returns.
pub(crate) fn own(place: &Place, arguments: &[&str]) -> Result<Process> {
    let mut command: Command = place.command(std::env::current_exe()?);
    command.args(arguments);
    let mut process = place.start(arguments[0], &mut command)?;
    let give_up = Instant::now() + PATIENCE;
    while !process.output().contains("listening") {
        if process.ended()?.is_some() || Instant::now() > give_up {
            bail!("{} does not listen: {}", arguments[0], process.errors());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(process)
}
