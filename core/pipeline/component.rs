//! What a component is: a static description, and one trait a kind.

use std::sync::Arc;

use async_trait::async_trait;
use tapetum_model::{Batch, Pieces, Signal};

use crate::{Context, Now, Outlet, Scrape, Settings, Stop};

/// The three kinds; a component's place in a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Brings batches in.
    Receiver,
    /// Changes them: synchronous, no I/O.
    Processor,
    /// Sends them out.
    Exporter,
}

/// All that is known of a component before it runs: help, documents, checks and the graph are made
/// from this one definition.
#[derive(Debug)]
pub struct Component {
    /// Its type: folder name, configuration key, metric label.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub summary: &'static str,
    /// The signals that it takes; empty for a receiver.
    pub takes: &'static [Signal],
    /// What it gives for a signal that it takes; a receiver is asked once a signal that it emits.
    pub gives: Gives,
    /// Its own options; `queue` and `retry` of exporters are the engine's.
    pub options: &'static [Opt],
    /// Names of the metrics that are its own.
    pub metrics: &'static [&'static str],
    /// A TOML table that works as it stands.
    pub example: &'static str,
    /// What types cannot say: one problem a wrong value. Never touches the world.
    pub check: fn(&Settings) -> Vec<Problem>,
    /// How much memory it can take.
    pub bound: fn(&Settings) -> Bound,
    /// Makes it. Its place here is its kind.
    pub build: Build,
}

/// What leaves a component.
#[derive(Clone, Copy, Debug)]
pub enum Gives {
    /// What came in.
    Same,
    /// These, whatever came in.
    These(&'static [Signal]),
    /// Nothing: an exporter.
    Nothing,
}

/// What makes an instance of its settings.
pub type Builder<T> = fn(&Settings, &Context) -> Result<T, BuildError>;

/// Makes a component, by kind.
#[derive(Clone, Copy, Debug)]
pub enum Build {
    /// A receiver: one instance, however many pipelines name it.
    Receiver(Builder<Box<dyn Receiver>>),
    /// A processor: one instance a pipeline.
    Processor(Builder<Box<dyn Processor>>),
    /// An exporter: one instance, however many pipelines name it.
    Exporter(Builder<Exporter>),
    /// An exporter that is asked ([`Exporter::Pull`]): nothing waits before it, so its table has
    /// neither `queue` nor `retry`.
    Asked(Builder<Exporter>),
}

/// One option of a component.
#[derive(Debug)]
pub struct Opt {
    /// Its key.
    pub key: &'static str,
    /// What may stand there.
    pub kind: OptKind,
    /// Its default, as TOML; `None`: it must be given, unless `optional`.
    pub default: Option<&'static str>,
    /// It may be left out although it has no default.
    pub optional: bool,
    /// What it does.
    pub help: &'static str,
    /// Why the default is what it is.
    pub why: &'static str,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub enum OptKind {
    /// `250ms`, `10s`, `5m`, `1h`
    Duration,
    /// `64KiB`, `16MiB`, `1GiB`, `4MB`
    Size,
    /// A number within bounds.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// `5%`
    Rate,
    /// `true` or `false`
    Bool,
    /// Any text.
    Text,
    /// Text that never appears in any output.
    Secret,
    /// A file or a folder; a relative one is relative to the file that names it.
    Path,
    /// `host:port` to listen on
    Listen,
    /// `http://host:port` or `https://host:port`
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static OptKind),
    /// A table whose keys are free.
    Map(&'static OptKind),
    /// A table of these keys.
    Table(&'static [Opt]),
}

/// What is wrong with a value, and where: the file's position is found by the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Keys from the component's table to the value; empty for the table itself.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// How much memory a component can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// In this process.
    pub user_bytes: u64,
    /// In the kernel, charged to this process's cgroup.
    pub kernel_bytes: u64,
}

/// A component cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// What is wrong and what to do.
    pub message: String,
}

/// A component stopped while it should run.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// What is wrong and what to do.
    pub message: String,
}

/// Brings batches in.
#[async_trait]
pub trait Receiver: Send {
    /// Runs until `stop`; returning, or dropping `out`, is the end of the stream. On `stop` it sends
    /// what it holds and returns.
    async fn run(self: Box<Self>, out: Outlet, stop: Stop) -> Result<(), RunError>;
}

/// Changes batches. Synchronous: no I/O, no waiting, time is passed in.
///
/// Made anew after a panic, and together with a receiver of records before it: that one finds again
/// what is open, which must not count twice.
pub trait Processor: Send {
    /// Takes one batch; what goes on, and what does not, is said to `out`.
    fn process(&mut self, batch: Batch, now: Now, out: &mut Output);

    /// Gives what is held. Called by the timer, for a scrape, and at the end.
    fn flush(&mut self, why: Flush, now: Now, out: &mut Output) {
        let _ = (why, now, out);
    }

    /// How often the timer calls [`Processor::flush`]; `None`: never.
    fn flush_every(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Why a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Its time has come: what it gives goes to the exporters that are sent to.
    Timer,
    /// A scrape: what it gives goes to the one that asked, and may be asked for again.
    Scrape,
    /// The end: nothing will come any more.
    Drain,
}

/// Where a processor says what became of its input. The books balance on it:
/// in = sent on + filtered + absorbed + held.
#[derive(Debug, Default)]
pub struct Output {
    /// What goes on.
    pub batches: Vec<Batch>,
    /// Items that were left out on purpose, by reason.
    pub filtered: Vec<(&'static str, u64)>,
    /// Items that live on in another form (records in metric points).
    pub absorbed: u64,
    /// Items in `batches` that were made here, not taken in (metric points of records).
    pub made: u64,
}

/// What an exporter's builder returns.
pub enum Exporter {
    /// It is sent to: encoded once at the queue, sent from there.
    Push {
        /// Makes bytes of batches.
        encode: Box<dyn Encode>,
        /// Sends them.
        export: Box<dyn Export>,
    },
    /// It is asked: a scrape pulls what the pipelines hold.
    Pull(Box<dyn Serve>),
}

/// Makes bytes of batches, once, before the queue: a queue pins no metadata and has an exact size.
pub trait Encode: Send {
    /// Appends messages; says how many items are not meant for this exporter.
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding;
}

/// A message that waits to be sent.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Which of the exporter's kinds of message (an OTLP exporter's signal).
    pub signal: Signal,
    /// How many items it holds.
    pub items: u64,
    /// What is sent.
    pub bytes: Pieces,
}

/// What an encoder left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Items that this exporter does not send on purpose (rows that are no span).
    pub filtered: u64,
    /// Items that could not be encoded: counted as rejected.
    pub rejected: u64,
}

/// Sends messages. The engine retries, times and counts.
#[async_trait]
pub trait Export: Send {
    /// Sends one message. It may be dropped at any point where it waits (the engine's time-out, the end
    /// of a drain) and the same message given again: nothing may be left half done.
    async fn export(&mut self, message: Encoded) -> Outcome;
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend has it, but for so many items.
    Ok {
        /// Items that the backend refused for good (partial success).
        rejected: u64,
        /// Why, in the backend's words.
        message: Option<Arc<str>>,
    },
    /// Not now; the backend may have said when.
    Retryable {
        /// Not before.
        after: Option<std::time::Duration>,
        /// Why.
        message: Arc<str>,
    },
    /// Never: sending it again would not help.
    Permanent {
        /// Why.
        message: Arc<str>,
    },
}

/// An exporter that is asked.
#[async_trait]
pub trait Serve: Send {
    /// Serves until `stop`.
    async fn run(self: Box<Self>, scrape: Scrape, stop: Stop) -> Result<(), RunError>;
}

impl Kind {
    /// All, in the order of the flow.
    pub const ALL: [Self; 3] = [Self::Receiver, Self::Processor, Self::Exporter];

    /// How it is called: `receiver`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
        }
    }

    /// Its table in the file, and its list in a pipeline: `receivers`.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
        }
    }

    /// The head of an instance's table as a file must write it: `[exporters."otlp/archive"]`.
    #[must_use]
    pub fn header(self, id: &str) -> String {
        let is_bare = |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_');
        let quote = match id.chars().all(is_bare) {
            true => "",
            false => "\"",
        };
        format!("[{}.{quote}{id}{quote}]", self.table())
    }
}

impl Component {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.build {
            Build::Receiver(_) => Kind::Receiver,
            Build::Processor(_) => Kind::Processor,
            Build::Exporter(_) | Build::Asked(_) => Kind::Exporter,
        }
    }
}

impl Output {
    /// Passes a batch on.
    pub fn send(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Says that `items` were left out on purpose.
    pub fn filter(&mut self, reason: &'static str, items: u64) {
        if items > 0 {
            self.filtered.push((reason, items));
        }
    }
}

impl Problem {
    /// A problem of the value behind one key.
    #[must_use]
    pub fn at(key: &str, message: impl Into<String>) -> Self {
        Self {
            path: vec![key.to_owned()],
            message: message.into(),
            hint: None,
        }
    }
}

impl BuildError {
    /// An error that says what is wrong and what to do.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl RunError {
    /// An error that says what is wrong and what to do.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
