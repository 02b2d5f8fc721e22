//! The engine: what a component is, and everything that is the same for all of them.
//!
//! The author of a component writes only what is particular to it: one of the traits of
//! [`component`], and one static [`Component`] that says its options, signals and bounds. Queues,
//! retry, supervision, drain, the books and the self-telemetry are the engine's.

mod admin;
pub mod books;
mod caught;
mod clock;
pub mod component;
pub mod context;
pub mod engine;
pub mod graph;
pub mod listener;
pub mod memory;
pub mod outlet;
mod queue;
mod random;
mod retry;
mod seldom;
pub mod settings;
pub mod spec;
pub mod tap;
pub mod units;

pub use books::{Book, Books, Tally};
pub use clock::SystemClock;
pub use component::{
    Bound, Build, BuildError, Builder, Component, Encode, Encoded, Encoding, Export, Exporter,
    Flush, Gives, Kind, Opt, OptKind, Outcome, Output, Problem, Processor, Receiver, RunError,
    Serve,
};
pub use context::{Clock, Context, Counter, Gauge, Health, Now, ServiceInfo, Telemetry};
pub use engine::{
    Engine, Options, Readiness, Reloaded, Render, Report, Running, StartError, TapLine,
};
pub use graph::{Budget, BudgetLine, GraphProblem, Place};
pub use listener::{Listener, Listeners};
pub use memory::{Gate, Memory};
pub use outlet::{Answer, Outlet, Pressure, Scrape, Stop};
pub use seldom::Seldom;
pub use settings::{Renewal, Settings};
pub use spec::{
    DiskSpec, Durable, Full, GraphSpec, Instance, PipelineSpec, QueueSpec, RetrySpec, ServiceSpec,
};
pub use tap::{Edge, Tapped};
pub use tapetum_spool::{Files, SystemFiles};
pub use units::{Duration, Rate, Size};
