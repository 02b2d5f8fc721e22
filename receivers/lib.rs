//! What brings batches in: one folder a component, and what several of them need of the host.

pub mod identity;
pub mod otlp;
pub mod tcp;

use tapetum_pipeline::Component;

/// Every receiver that can stand in a file.
pub static COMPONENTS: &[&Component] = &[&otlp::COMPONENT, &tcp::COMPONENT];
