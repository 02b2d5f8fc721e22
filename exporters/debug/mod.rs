//! Shows what passes, on standard output: for a first look, and to see what a pipeline carries.
//!
//! It promises: a line is a connection span or a metric point, in a format that a test holds; on a
//! terminal a table says who talks to whom instead. A name from outside cannot move the cursor.

mod config;
mod lines;
mod live;
mod show;
#[cfg(test)]
mod tests;
mod words;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};

use tapetum_model::Signal;
use tapetum_pipeline::{Build, BuildError, Component, Context, Exporter, Gives, Settings};

use self::config::{Config, Format};
use self::live::Live;
use self::show::{Lines, Screen, Table, Writer};

/// `debug`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "debug",
    summary: "shows connections and metric points on standard output: lines, or a live table on a terminal",
    takes: &[Signal::Connections, Signal::Points],
    gives: Gives::Nothing,
    options: config::OPTIONS,
    metrics: &[],
    example: "format = \"lines\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Exporter(build),
};

fn build(settings: &Settings, context: &Context) -> Result<Exporter, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let table = match config.format {
        Format::Auto => std::io::stdout().is_terminal(),
        Format::Lines => false,
        Format::Table => true,
    };
    let out = Writer::new(Box::new(std::io::stdout()));
    if !table {
        return Ok(Exporter::Push {
            encode: Box::new(Lines),
            export: Box::new(out),
        });
    }
    let live = Arc::new(Mutex::new(Live::default()));
    let clock = Arc::clone(&context.clock);
    Ok(Exporter::Push {
        encode: Box::new(Table::new(Arc::clone(&live), Arc::clone(&clock))),
        export: Box::new(Screen::new(live, clock, out)),
    })
}
