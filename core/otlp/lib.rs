//! Records and points as OTLP bytes, and every attribute and metric name in one table.
//!
//! [`SpanEncoder`] and [`PointEncoder`] write protobuf straight from rows and points, [`Lines`] writes the
//! same as OTLP/JSON. What is said, and under which names, is written once, in `span` and `resource`,
//! whatever the encoding. [`scan()`] looks through what others sent, without decoding it; [`edit`] leaves out and
//! rewrites parts of it.

mod agent;
mod by_metric;
mod community;
pub mod edit;
mod form;
mod from_json;
mod groups;
mod json;
mod key;
pub mod names;
mod proto;
mod resource;
pub mod response;
mod scan;
mod span;
mod split;
mod temporality;
mod text;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod sample;

pub use agent::Agent;
pub use form::Form;
pub use from_json::{JsonError, from_json};
pub use json::Lines;
pub use proto::{MESSAGE_BYTES_MAX, Message, PointEncoder, SpanEncoder};
pub use scan::{Malformed, scan};
pub use split::split;
pub use temporality::Temporality;
