//! Batch -> the world: one folder an exporter.
//!
//! To add one: its folder, its `mod` line and its line in [`COMPONENTS`].

mod agent;
pub mod debug;
pub mod file;
pub mod otlp;
pub mod prometheus;

use tapetum_pipeline::Component;

/// Every exporter, in the order of the documents.
pub static COMPONENTS: &[&Component] = &[
    &otlp::COMPONENT,
    &prometheus::COMPONENT,
    &file::COMPONENT,
    &debug::COMPONENT,
];
