//! What the engine is lent by whoever starts it, and why it may refuse to start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapetum_model::Batch;
use tapetum_spool::{Files, SpoolError, SystemFiles};

use crate::{BuildError, Clock, GraphProblem, Kind, SystemClock, Tapped};

/// Writes metric points in the format that a scraper asks for with its `Accept` header: content type
/// and body. Lent by the composition root, since the formats are an exporter's.
pub type Render = Arc<dyn Fn(&[Batch], Option<&str>) -> (String, Vec<u8>) + Send + Sync>;

/// Writes a batch that passed between two components as one line, for who watches.
pub type TapLine = Arc<dyn Fn(&Tapped) -> String + Send + Sync>;

/// How many bytes count as used of so many that may be.
pub type MemoryUsed = Arc<dyn Fn(u64) -> Option<u64> + Send + Sync>;

/// Gives memory back to the system.
pub type Relieve = Arc<dyn Fn() + Send + Sync>;

/// What is passed in: time, randomness, the host.
#[derive(Clone)]
pub struct Options {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Of the jitter of retries.
    pub seed: u64,
    /// `k8s.node.name`; empty if not known.
    pub node: String,
    /// `host.name`
    pub host: String,
    /// `service.instance.id`: no other agent has it, and a restart keeps it.
    pub instance: String,
    /// Version of the program.
    pub version: &'static str,
    /// Renders `/metrics`; without it that page is not found.
    pub render: Option<Render>,
    /// Where the kernel says how much memory the process has.
    pub process_status: PathBuf,
    /// Writes what `/tap` shows; without it that page is not found.
    pub tap_line: Option<TapLine>,
    /// What counts as used of so many bytes of `service.memory`; without it what the kernel says there.
    pub memory_used: Option<MemoryUsed>,
    /// Gives back what is free and not given back yet.
    pub relieve: Option<Relieve>,
    /// Where queues that use a disk are written.
    pub files: Arc<dyn Files>,
    /// How long one try of an exporter may take before it is cut off and made again.
    pub export_timeout: Duration,
}

/// Why a graph does not start. Nothing of it is running then. The sentences say their causes, which are
/// therefore no `source` that a chain would repeat.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The graph is wrong.
    #[error("{}", sentences(.0))]
    Graph(Vec<GraphProblem>),
    /// It does not fit into the budget.
    #[error("{0}")]
    Memory(String),
    /// The admin server cannot listen.
    #[error(
        "cannot listen on {address} for the admin server: {why}; free it or change `service.admin`"
    )]
    Admin {
        /// Where.
        address: String,
        /// Why not.
        why: std::io::Error,
    },
    /// Something differs that a process cannot change while it runs.
    #[error("`{key}` cannot change while the process runs: start it anew")]
    Fixed {
        /// What.
        key: &'static str,
    },
    /// The folder of a queue cannot be used.
    #[error("{0}")]
    Queue(SpoolError),
    /// A component cannot be made.
    #[error("{} `{id}`: {why}", .kind.name())]
    Build {
        /// What it is.
        kind: Kind,
        /// Which.
        id: String,
        /// Why not.
        why: BuildError,
    },
}

impl From<SpoolError> for StartError {
    fn from(why: SpoolError) -> Self {
        Self::Queue(why)
    }
}

impl Options {
    /// The system's clock and paths, a seed of the moment; the host is the instance.
    #[must_use]
    pub fn new(host: impl Into<String>, version: &'static str) -> Self {
        let clock = SystemClock::default();
        let host = host.into();
        Self {
            seed: clock.now().unix.0 ^ u64::from(std::process::id()),
            clock: Arc::new(clock),
            node: String::new(),
            instance: host.clone(),
            host,
            version,
            render: None,
            files: Arc::new(SystemFiles),
            process_status: PathBuf::from("/proc/self/status"),
            tap_line: None,
            memory_used: None,
            relieve: None,
            export_timeout: Duration::from_secs(30),
        }
    }
}

fn sentences(problems: &[GraphProblem]) -> String {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    all.join("\n")
}
