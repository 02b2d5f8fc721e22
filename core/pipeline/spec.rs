//! The graph as the file describes it, checked: what the configuration crate makes and the engine
//! builds.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Component, Settings};

/// A whole file.
#[derive(Debug)]
pub struct GraphSpec {
    /// `[service]`
    pub service: ServiceSpec,
    /// `[receivers]`
    pub receivers: Vec<Instance>,
    /// `[processors]`
    pub processors: Vec<Instance>,
    /// `[exporters]`
    pub exporters: Vec<Instance>,
    /// `[pipelines]`
    pub pipelines: Vec<PipelineSpec>,
}

/// `[service]`
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// `k8s.cluster.name`
    pub cluster: String,
    /// Where queues and state live.
    pub data_dir: PathBuf,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub admin: String,
    /// The budget.
    pub memory_bytes: u64,
    /// How long a stop may take.
    pub drain: Duration,
    /// The fleet's key.
    pub trace_key: Option<String>,
}

/// One component table.
#[derive(Debug)]
pub struct Instance {
    /// As the file names it: `otlp/archive`.
    pub id: String,
    /// Its type.
    pub component: &'static Component,
    /// Its values.
    pub settings: Settings,
    /// `queue` of an exporter.
    pub queue: QueueSpec,
    /// `retry` of an exporter.
    pub retry: RetrySpec,
}

/// `queue = { size, full, persist, disk, sync }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// Bound in bytes of encoded messages in memory.
    pub size_bytes: u64,
    /// What happens to what does not fit; `None`: the batch's origin decides.
    pub full: Option<Full>,
    /// What of it may go to disk; `None`: nothing.
    pub disk: Option<DiskSpec>,
}

/// How a queue uses the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// Bound in bytes of segment files.
    pub size_bytes: u64,
    /// Everything goes through the disk before it is acknowledged; otherwise only what does not fit into
    /// memory does.
    pub persist: bool,
    /// When what was written is made to outlive a power cut.
    pub sync: Durable,
}

/// When what was written is made to outlive a power cut; the end of the process takes nothing anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// When the kernel likes to.
    Never,
    /// Once a second.
    Second,
    /// Before it is acknowledged.
    Always,
}

/// What a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Says no to the receiver.
    Refuse,
    /// Makes room.
    DropOldest,
    /// Drops what comes.
    DropNewest,
    /// Waits; only where a pipeline has one exporter.
    Block,
    /// Goes to disk; when that is full too, the batch's origin decides.
    Spill,
}

/// `retry = { first, most, give_up }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySpec {
    /// The first wait; each one up to twice the last, with full jitter.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
    /// After this long a message is dropped and counted.
    pub give_up: Duration,
}

/// `[pipelines.NAME]`: ids of instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSpec {
    /// Its name.
    pub name: String,
    /// Where its batches come from.
    pub receivers: Vec<String>,
    /// What changes them, in order.
    pub processors: Vec<String>,
    /// Where they go.
    pub exporters: Vec<String>,
}

/// Without the key: it is a secret.
impl fmt::Debug for ServiceSpec {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("ServiceSpec")
            .field("cluster", &self.cluster)
            .field("data_dir", &self.data_dir)
            .field("admin", &self.admin)
            .field("memory_bytes", &self.memory_bytes)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
