//! The processors: batch in, batch out, synchronous, without I/O; the time is passed in.
//!
//! One folder each. To add one: its folder, its `mod` and its line in [`COMPONENTS`].

pub mod aggregate;
pub mod attributes;
pub mod batch;
mod cidr;
pub mod filter;
pub mod k8s;
pub mod memory_limiter;
pub mod sample;

use tapetum_pipeline::Component;

/// Every processor of this crate, in the order in which they are listed to people.
pub static COMPONENTS: &[&Component] = &[
    &aggregate::COMPONENT,
    &attributes::COMPONENT,
    &batch::COMPONENT,
    &filter::COMPONENT,
    &k8s::COMPONENT,
    &memory_limiter::COMPONENT,
    &sample::COMPONENT,
];
