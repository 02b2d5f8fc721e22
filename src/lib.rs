//! The composition root: the only place that knows every crate.
//!
//! A program of one's own is this library with a longer list:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! # use tapetum::pipeline::Component;
//! fn main_of_a_plugin(mine: &'static Component) -> ExitCode {
//!     let mut components = tapetum::components();
//!     components.push(mine);
//!     tapetum::run(components)
//! }
//! ```

mod admin;
mod cli;
mod components;
mod diagram;
mod doctor;
mod document;
mod file;
mod graph;
mod identity;
mod log;
mod memory;
mod run;
mod schema;
mod tap;
mod terminal;
mod top;
mod validate;
mod watch;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

pub use tapetum_model as model;
pub use tapetum_pipeline as pipeline;

use cli::{Cli, Command};
use pipeline::Component;
use terminal::Terminal;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It worked.
    Well,
    /// It failed while running.
    Failed,
    /// The command line or the file is wrong.
    Wrong,
}

/// The components that come with Tapetum.
#[must_use]
pub fn components() -> Vec<&'static Component> {
    [
        tapetum_receivers::COMPONENTS,
        tapetum_processors::COMPONENTS,
        tapetum_exporters::COMPONENTS,
    ]
    .concat()
}

/// The whole program: reads the command line and does what it says with these components.
#[must_use]
pub fn run(components: impl IntoIterator<Item = &'static Component>) -> ExitCode {
    let components: Vec<_> = components.into_iter().collect();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version too; a reader that went away needs no answer.
            let _ = told.print();
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    let mut terminal = Terminal::new();
    let end = match command(cli.command, &components, &mut terminal) {
        Ok(end) => end,
        Err(error) if terminal::is_broken_pipe(&error) => End::Well,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            End::Failed
        }
    };
    ExitCode::from(match end {
        End::Well => 0,
        End::Failed => 1,
        End::Wrong => 2,
    })
}

fn command(
    command: Command,
    components: &[&'static Component],
    terminal: &mut Terminal,
) -> anyhow::Result<End> {
    if let Some(twice) = twice(components) {
        anyhow::bail!("two components are called `{twice}`: give yours another name");
    }
    match command {
        Command::Run { files } => return run::run(&files, components, terminal),
        Command::Validate { files } => validate::validate(&files, components, terminal),
        Command::Graph { files, format } => graph::graph(&files, format, components, terminal),
        Command::Schema => schema::schema(components, terminal),
        Command::Components { name, json } => {
            components::components(name.as_deref(), json, components, terminal)
        }
        Command::Top { admin, once, json } => top::top(&admin, once, json, terminal),
        Command::Tap {
            edge,
            admin,
            json,
            count,
        } => tap::tap(edge.as_deref(), &admin, json, count, terminal),
        Command::Doctor { json } => doctor::doctor(json, terminal),
    }
    .context("cannot write the output")
}

/// A name that two components of a kind share: the file could not tell them apart.
fn twice(components: &[&'static Component]) -> Option<&'static str> {
    let mut names: Vec<_> = components
        .iter()
        .map(|component| (component.kind(), component.name))
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(twice[0].1)
}
