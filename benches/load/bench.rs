//! What the whole agent costs, beside what it may cost: its program, its memory, its time, and what it
//! takes from the traffic that it watches.
//!
//! A figure that misses its target is marked and makes the exit code 1; on a machine that others use,
//! run it again before believing it.

mod agent;
mod clock;
mod memory;
mod program;
mod programs;
mod scene;
mod sink;
mod throughput;
mod traffic;
mod work;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tapetum_benches::Figure;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(figures) if figures.iter().all(Figure::met) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All figures, or those that are named; or what runs inside of the pods.
fn run(words: &[&str]) -> Result<Vec<Figure>> {
    let nothing = |()| Vec::new();
    match *words {
        ["serve", at] => traffic::serve(at.parse()?).map(nothing),
        ["send", to, count] => traffic::send(to.parse()?, count.parse()?).map(nothing),
        ["hold", at, count] => traffic::hold(at.parse()?, count.parse()?).map(nothing),
        ["sink", at] => sink::serve(at.parse()?).map(nothing),
        _ => figures(words),
    }
}

fn figures(only: &[&str]) -> Result<Vec<Figure>> {
    let names = ["program", "memory", "iperf", "short", "throughput"];
    for word in only {
        ensure!(
            names.contains(word),
            "no figures are called {word}: ask for {}",
            names.join(", ")
        );
    }
    let wanted = |name| only.is_empty() || only.contains(&name);
    let mut figures = Vec::new();
    if wanted("program") {
        figures.push(program::measure()?);
    }
    if only == ["program"] {
        return Ok(figures);
    }
    let scene = scene::Scene::build()?;
    if wanted("memory") {
        figures.extend(memory::measure(&scene)?);
    }
    if wanted("iperf") {
        figures.extend(work::iperf(&scene)?);
    }
    if wanted("short") {
        figures.extend(work::short(&scene)?);
    }
    if wanted("throughput") {
        figures.extend(throughput::measure(&scene)?);
    }
    Ok(figures)
}
