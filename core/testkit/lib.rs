//! What tests of components and of the engine share: rows that look real, a clock that stands
//! still, a context to build a component in, checks of the contracts. Only ever a dev-dependency.
//!
//! - [`sample`]: connection rows and batches of them, the same at every run.
//! - [`context`], [`Held`]: build a component alone, with a clock that the test moves.
//! - [`contract`]: what every encoder and processor promises, checked against one.

pub mod clock;
pub mod contract;
mod lend;
pub mod sample;

pub use clock::{Held, Tokio};
pub use lend::{context, context_at, settings};
