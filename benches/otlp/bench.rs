//! What it costs to pass OTLP through: the OpenTelemetry Collector and Tapetum by turns in the same run, with the
//! same payload, each alone on one core, load and backend on another.
//!
//! A figure is the ratio of CPU-seconds a million items; the Collector's own number stands beside it, since
//! that is what tells one machine from another. A figure that misses its target is marked and makes the exit
//! code 1; on a machine that others use, run it again before believing it.

mod core;
mod grpc;
mod load;
mod payload;
mod scenario;
mod sink;
mod subject;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tapetum_benches::Figure;

use crate::scenario::SCENARIOS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(figures) if figures.iter().all(Figure::met) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All figures, or those that are named; `alone` leaves the Collector out.
fn run(words: &[String]) -> Result<Vec<Figure>> {
    let is_alone = words.iter().any(|word| word == "alone");
    let wanted: Vec<&String> = words.iter().filter(|word| *word != "alone").collect();
    for word in &wanted {
        let names: Vec<&str> = SCENARIOS.iter().map(|one| one.name).collect();
        ensure!(
            names.contains(&word.as_str()),
            "no figures are called {word}: ask for {}",
            names.join(", ")
        );
    }
    core::pin(core::OURS)?;
    let mut figures = Vec::new();
    for scenario in SCENARIOS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == scenario.name) {
            figures.extend(scenario.measure(is_alone)?);
        }
    }
    Ok(figures)
}
