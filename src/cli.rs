//! What can be typed: the one definition of which help and parsing are made.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::admin;

/// Sees every connection of a node from inside the kernel, names both of its ends, and sends spans
/// and metrics as OpenTelemetry.
#[derive(Debug, Parser)]
#[command(
    name = "tapetum",
    version,
    after_help = "Example: tapetum run -c /etc/tapetum/tapetum.toml\n\n\
        Exit status: 0 it worked, 1 it failed while running, 2 the command line or the file is wrong.\n\
        Logs go to standard error; TAPETUM_LOG=info,tapetum_pipeline=debug chooses which.",
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order in which a newcomer needs them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the pipelines of a file until SIGTERM or Ctrl-C
    #[command(
        override_usage = "tapetum run [-c FILE]...",
        after_help = "Example: tapetum run -c config/host.toml\n\n\
        SIGTERM or Ctrl-C drains the pipelines and ends with 0; a second one ends at once. SIGHUP, and a change \
        of the file, exchanges what differs; a file that is wrong changes nothing."
    )]
    Run {
        /// The file, or one of its parts [default: /etc/tapetum/tapetum.toml]
        #[arg(short = 'c', long = "config", value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say everything that is wrong with a pipeline file, each with its place and a hint
    #[command(after_help = "Example: tapetum validate base.toml host.toml\n\n\
        Several files are one file. Exit status 0 if it is right, 2 if not.")]
    Validate {
        /// The file, or its parts [default: /etc/tapetum/tapetum.toml]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Draw what a pipeline file makes of its components
    #[command(after_help = "Examples: tapetum graph config/host.toml\n          \
        tapetum graph --format dot config/agent.toml | dot -Tsvg > agent.svg")]
    Graph {
        /// For a terminal, or for a program that draws it or reads it
        #[arg(long, value_enum, default_value_t = Format::Text, hide_possible_values = true,
            value_name = "text|mermaid|dot|json")]
        format: Format,
        /// The file, or its parts [default: /etc/tapetum/tapetum.toml]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say what can stand in a pipeline file
    #[command(
        after_help = "Examples: tapetum components\n          tapetum components otlp\n          \
        tapetum components tcp --json"
    )]
    Components {
        /// One of them: its options with defaults and reasons, its metrics, an example
        name: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of a pipeline file, for editors
    #[command(after_help = "Example: tapetum schema > tapetum.schema.json\n\n\
        A file whose first line is `#:schema ./tapetum.schema.json` is then completed and checked while it is written.")]
    Schema,
    /// Show what each component of a running agent moves, loses and holds
    #[command(after_help = "Examples: tapetum top\n          tapetum top --once --json")]
    Top {
        /// Where the agent's `service.admin` is
        #[arg(long, value_name = "HOST:PORT", default_value = admin::DEFAULT)]
        admin: String,
        /// One table, then end
        #[arg(long)]
        once: bool,
        /// For programs: one line a look
        #[arg(long)]
        json: bool,
    },
    /// Show what passes between two components of a running agent, live
    #[command(
        after_help = "Examples: tapetum tap\n          tapetum tap 'tcp->k8s'\n          \
        tapetum tap 'metrics:aggregate->otlp' --json --count 10\n\n\
        Shows a sample of each batch, and says what it missed where it is too slow. Nothing waits for it."
    )]
    Tap {
        /// The edge, with its pipeline or without; without any, which edges there are
        edge: Option<String>,
        /// Where the agent's `service.admin` is
        #[arg(long, value_name = "HOST:PORT", default_value = admin::DEFAULT)]
        admin: String,
        /// For programs: a line a batch
        #[arg(long)]
        json: bool,
        /// End after so many batches
        #[arg(long)]
        count: Option<u64>,
    },
    /// Say what this kernel and these privileges give, and what is lost without the rest
    #[command(after_help = "Example: sudo tapetum doctor\n\n\
        Changes nothing. Exit status 1 if nothing at all can be observed as it stands.")]
    Doctor {
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines and arrows.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// Components, pipelines, edges and memory.
    Json,
}
