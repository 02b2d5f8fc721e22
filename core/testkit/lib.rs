//! What tests of components and of the engine share: rows that look real, a clock that stands
//! still, a context to build a component in, checks of the contracts. Only ever a dev-dependency.
//!
//! - [`sample`]: connection rows and batches of them, the same at every run.
//! - [`context`], [`Held`]: build a component alone, with a clock that the test moves.
//! - [`Graph`] of [`Source`], [`Work`], [`Sink`] and [`Asker`]: a whole graph whose components do what
//!   the test says, when it says it; mixed with real ones.
//! - [`Disk`]: a disk that a test fills, breaks, and takes the power of.
//! - [`skip()`]: says aloud that this machine cannot run a test.
//! - [`certificates`]: an authority of one's own, for TLS.
//! - [`ApiServer`]: a scripted API server of Kubernetes.
//! - [`contract`]: what every encoder and processor promises, checked against one.

mod api_server;
pub mod certificates;
pub mod clock;
pub mod contract;
mod disk;
mod graph;
mod lend;
mod random;
mod registry;
pub mod sample;
mod sink;
mod skip;
mod source;
mod work;

pub use api_server::{ApiServer, Cut};
pub use clock::{Held, Tokio};
pub use disk::Disk;
pub use graph::{Graph, options};
pub use lend::{context, context_at, settings};
pub use random::Random;
pub use sink::{ASKER, Asker, SINK, Sink, Step};
pub use skip::{skip, skip_this};
pub use source::{SOURCE, Source};
pub use work::{Event, WORK, Work};
