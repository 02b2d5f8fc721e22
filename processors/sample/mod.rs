//! Keeps the spans that a backend can carry, by trace id, so that both ends of a connection agree
//! without talking.
//!
//! It promises: errors are kept; of the rest what is kept depends on the trace id and a threshold
//! alone; nothing that metrics count is touched. A row that is not chosen goes on as a row that is no
//! span: span exporters leave it out and count it, `aggregate` adds it up as if nothing had been.

mod choose;
mod config;
#[cfg(test)]
mod tests;

use tapetum_model::{Batch, Payload, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Gives, Now, Output, Processor, Settings,
};

use self::choose::Pace;
use self::config::Config;

/// `sample`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "sample",
    summary: "keeps errors, and of the other spans what a rate allows, by trace id: both ends of a connection agree",
    takes: &[Signal::Connections],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "keep_errors = true\nper_second = 50\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
pub struct Sample {
    keep_errors: bool,
    pace: Pace,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Ok(Box::new(Sample::new(config)))
}

impl Sample {
    fn new(config: Config) -> Self {
        let ratio = config.ratio.map_or(1.0, |rate| rate.0);
        Self {
            keep_errors: config.keep_errors,
            pace: Pace::new(config.per_second, ratio),
        }
    }
}

impl Processor for Sample {
    fn process(&mut self, mut batch: Batch, now: Now, out: &mut Output) {
        self.pace.advance(now.monotonic);
        if let Payload::Records(records) = &mut batch.payload {
            let rows = records.as_rows_mut();
            for row in 0..rows.rows() {
                let Some(span) = rows.trace(row) else {
                    continue;
                };
                if !(self.keep_errors && span.error || self.pace.keeps(span.trace)) {
                    rows.unspan(row);
                }
            }
        }
        out.send(batch);
    }
}
