//! The unit between components, with its window and what was lost on the way to it.

use std::net::IpAddr;

use crate::{Connection, Connections, Pieces, Point, Rows, UnixNanos};

/// Rows, points or bytes, and how complete they are.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it carries.
    pub payload: Payload,
    /// The time that it covers.
    pub window: Window,
    /// What was lost on the way to here, by stage.
    pub loss: Loss,
    /// Where it comes from; decides what a full queue does where the file does not say.
    pub origin: Origin,
}

/// What a batch carries.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Rows of ours.
    Records(Records),
    /// Metric points.
    Points(Vec<Point>),
    /// An OTLP request, still encoded.
    Otlp(Otlp),
}

/// Rows of one kind.
#[derive(Clone, Debug)]
pub enum Records {
    /// TCP connections, or a period of one.
    Connections(Connections),
}

/// An OTLP request that nobody needed to look into.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// What it holds.
    pub signal: OtlpSignal,
    /// Spans, data points or log records.
    pub items: u64,
    /// The protobuf message; two that are concatenated are one.
    pub bytes: Pieces,
    /// Who sent it; `None` where it is of several.
    pub peer: Option<IpAddr>,
}

/// The three signals of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OtlpSignal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

/// What can flow on an edge: components say which they take and which they give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Connection records.
    Connections,
    /// Metric points.
    Points,
    /// OTLP spans.
    Traces,
    /// OTLP metrics.
    Metrics,
    /// OTLP logs.
    Logs,
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel: it cannot wait, so the oldest makes room.
    Kernel,
    /// A peer that can be told to come back.
    Peer,
    /// Tapetum itself, at a flush.
    Flush,
}

/// The time that a batch covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: UnixNanos,
    /// Its end.
    pub end: UnixNanos,
}

/// A place on the way where records can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossStage {
    /// The kernel's ring was full.
    Ring,
    /// There were more connections than `max_connections`.
    Limit,
    /// A queue of ours was full or a component failed.
    Queue,
}

/// Records lost, by stage: zero is said, not implied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// In the kernel's ring.
    pub ring: u64,
    /// Beyond `max_connections`.
    pub limit: u64,
    /// In our own queues.
    pub queue: u64,
}

impl Loss {
    /// Every stage with its count, in the order of the way.
    #[must_use]
    pub fn by_stage(&self) -> [(LossStage, u64); 3] {
        [
            (LossStage::Ring, self.ring),
            (LossStage::Limit, self.limit),
            (LossStage::Queue, self.queue),
        ]
    }

    /// Takes over what `other` lost: for batches that are merged.
    pub fn add(&mut self, other: &Self) {
        self.ring += other.ring;
        self.limit += other.limit;
        self.queue += other.queue;
    }
}

impl LossStage {
    /// How the stage is called outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Limit => "limit",
            Self::Queue => "queue",
        }
    }
}

impl Window {
    /// Grows over another; one that says nothing changes nothing.
    pub fn join(&mut self, other: &Self) {
        if *other == Self::default() {
            return;
        }
        if *self == Self::default() {
            *self = *other;
            return;
        }
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
    }
}

impl Records {
    /// Takes over the rows of `other`, which is of the same kind.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Connections(rows), Self::Connections(more)) => {
                let mut all = std::mem::take(rows).into_vec();
                all.extend(more.into_vec());
                *rows = all.into();
            }
        }
    }

    /// Keeps the first `rows` and gives the others, if there are any.
    pub fn split_off(&mut self, rows: usize) -> Option<Self> {
        match self {
            Self::Connections(all) => (rows < all.len()).then(|| {
                let mut first = std::mem::take(all).into_vec();
                let rest = first.split_off(rows);
                *all = first.into();
                Self::Connections(rest.into())
            }),
        }
    }

    /// What one row takes in memory.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        match self {
            Self::Connections(_) => size_of::<Connection>(),
        }
    }

    /// The rows, through the table of their kind.
    #[must_use]
    pub fn as_rows(&self) -> &dyn Rows {
        match self {
            Self::Connections(rows) => rows,
        }
    }

    /// The same, to be changed.
    pub fn as_rows_mut(&mut self) -> &mut dyn Rows {
        match self {
            Self::Connections(rows) => rows,
        }
    }

    /// What flows where these rows flow.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match self {
            Self::Connections(_) => Signal::Connections,
        }
    }
}

impl Batch {
    /// How many items it carries: what the books count.
    #[must_use]
    pub fn items(&self) -> u64 {
        match &self.payload {
            Payload::Records(records) => records.as_rows().rows() as u64,
            Payload::Points(points) => points.len() as u64,
            Payload::Otlp(otlp) => otlp.items,
        }
    }

    /// What flows where this batch flows.
    #[must_use]
    pub fn signal(&self) -> Signal {
        match &self.payload {
            Payload::Records(records) => records.signal(),
            Payload::Points(_) => Signal::Points,
            Payload::Otlp(otlp) => match otlp.signal {
                OtlpSignal::Traces => Signal::Traces,
                OtlpSignal::Metrics => Signal::Metrics,
                OtlpSignal::Logs => Signal::Logs,
            },
        }
    }
}
