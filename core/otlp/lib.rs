//! Records and points as OTLP bytes, and every attribute and metric name in one table.

mod agent;
pub mod names;

pub use agent::Agent;
