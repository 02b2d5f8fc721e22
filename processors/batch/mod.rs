//! Joins what comes into batches that a backend likes: fewer and larger requests.
//!
//! It promises: no batch is larger than `bytes`, but for a single item that is; nothing waits longer than
//! `wait`; what came over OTLP is joined without a copy, because two messages of protobuf behind each other
//! are one. A joined batch covers the windows of all that it is made of and says what all of them lost. What it
//! holds of a sender that was told "accepted" keeps its room in the queues behind it (the engine sees to that).

mod config;
mod join;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tapetum_model::{Batch, Origin, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Flush, Gives, Now, Output, Processor, Settings,
};

use self::config::Config;
use self::join::{Held, cut, size_bytes};

/// `batch`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "batch",
    summary: "joins what comes into larger batches, by bytes and time, and cuts what is too large",
    takes: &[
        Signal::Connections,
        Signal::Points,
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
    ],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "bytes = \"4MiB\"\nwait = \"200ms\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
struct Joiner {
    bytes_max: usize,
    wait: Duration,
    /// One a signal and origin.
    held: Vec<Held>,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Ok(Box::new(Joiner::new(config)))
}

impl Joiner {
    fn new(config: Config) -> Self {
        Self {
            bytes_max: usize::try_from(config.bytes.0).unwrap_or(usize::MAX),
            wait: config.wait.0,
            held: Vec::new(),
        }
    }

    fn place(&self, signal: Signal, origin: Origin) -> Option<usize> {
        let fits = |held: &Held| held.is_of(signal, origin);
        self.held.iter().position(fits)
    }

    fn hold(&mut self, batch: Batch, bytes: usize, out: &mut Output) {
        let at = match self.place(batch.signal(), batch.origin) {
            None => {
                self.held.push(Held::new(batch, bytes));
                self.held.len() - 1
            }
            Some(at) => {
                self.held[at].join(batch, bytes);
                at
            }
        };
        if self.held[at].bytes() >= self.bytes_max {
            self.release(out);
        }
    }

    /// Gives all, also of other kinds: what came first leaves first, so that whoever counts what left knows
    /// that nothing older is here (senders are answered by that where a queue persists).
    fn release(&mut self, out: &mut Output) {
        let all = self.held.drain(..);
        all.for_each(|held| out.send(held.finish()));
    }
}

impl Processor for Joiner {
    fn process(&mut self, batch: Batch, _: Now, out: &mut Output) {
        let Some(bytes) = size_bytes(&batch) else {
            // Points: a flush gives all of its own at once, and a scrape must not be given those of another.
            self.release(out);
            out.send(batch);
            return;
        };
        let place = self.place(batch.signal(), batch.origin);
        let held = place.map_or(0, |at| self.held[at].bytes());
        if held + bytes > self.bytes_max {
            self.release(out);
        }
        if bytes > self.bytes_max {
            cut(batch, self.bytes_max).for_each(|part| out.send(part));
        } else {
            self.hold(batch, bytes, out);
        }
    }

    fn flush(&mut self, _: Flush, _: Now, out: &mut Output) {
        self.release(out);
    }

    fn flush_every(&self) -> Option<Duration> {
        Some(self.wait)
    }
}
