//! Refuses in time, so that the process does not die of what it is given.
//!
//! It promises: above `soft` a sender that can come back is refused at the pipeline's door, before its body is
//! read, and told when to come; receivers that cannot wait are told to coarsen, and never wait. Above `hard`
//! what they bring keeps its measures for metrics and loses its spans. It goes back only `hysteresis` below a
//! limit, so that it does not swing. It does no I/O: the engine looks how much memory there is.

mod config;
mod level;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tapetum_model::{Batch, Metric, Payload, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Flush, Gate, Gauge, Gives, Health, Memory, Now, Output,
    Pressure, Processor, Settings, Size,
};
use tracing::{info, warn};

use self::config::Config;
use self::level::{Level, Limits};

/// `memory_limiter`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "memory_limiter",
    summary: "refuses senders and coarsens what the kernel tells while memory is short; stands first in a pipeline",
    takes: &[
        Signal::Connections,
        Signal::Points,
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
    ],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &["tapetum.memory.pressure"],
    example: "soft = \"80%\"\nhard = \"90%\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
struct Limiter {
    config: Config,
    level: Level,
    memory: Memory,
    gate: Gate,
    health: Health,
    pressure: Gauge,
}

fn build(settings: &Settings, context: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Ok(Box::new(Limiter::new(config, context)))
}

impl Limiter {
    fn new(config: Config, context: &Context) -> Self {
        // Asked once, so that the engine has looked when it counts.
        let _ = context.memory.used_bytes();
        Self {
            config,
            level: Level::default(),
            memory: context.memory.clone(),
            gate: context.gate.clone(),
            health: context.health.clone(),
            pressure: context.telemetry.gauge(Metric::MemoryPressure, &[]),
        }
    }

    /// Looks where it stands, and opens or closes.
    fn look(&mut self) {
        let whole = self
            .config
            .limit
            .map_or(self.memory.limit_bytes(), |size| size.0);
        let limits = Limits::of(whole, &self.config);
        let used = self.memory.used_bytes();
        let before = self.level.pressure();
        self.level.follow(used, &limits);
        let now = self.level.pressure();
        self.memory.is_short(now != Pressure::None);
        self.gate.set(now, self.config.retry.0);
        if now == before {
            return;
        }
        self.pressure.set(now as i64);
        let said = format!("{} of {} are used", Size(used), Size(whole));
        match now {
            Pressure::None => info!("memory suffices again: {said}"),
            Pressure::Some => warn!("memory is short, senders are refused: {said}"),
            Pressure::Full => {
                warn!("memory is very short, spans of the kernel's are left out: {said}")
            }
        }
        let note = (now != Pressure::None).then(|| format!("memory is short: {said}"));
        self.health.note(note);
    }
}

impl Processor for Limiter {
    fn process(&mut self, mut batch: Batch, _: Now, out: &mut Output) {
        self.look();
        if let (Pressure::Full, Payload::Records(records)) =
            (self.level.pressure(), &mut batch.payload)
        {
            let rows = records.as_rows_mut();
            for row in 0..rows.rows() {
                if rows.trace(row).is_some() {
                    rows.unspan(row);
                }
            }
        }
        out.send(batch);
    }

    fn flush(&mut self, _: Flush, _: Now, _: &mut Output) {
        self.look();
    }

    fn flush_every(&self) -> Option<Duration> {
        Some(self.config.check.0)
    }
}

/// The gate is the pipeline's and outlives it.
impl Drop for Limiter {
    fn drop(&mut self) {
        self.gate.set(Pressure::None, Duration::ZERO);
    }
}
