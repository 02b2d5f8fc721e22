//! The kernel side of Tapetum: the only crate that names a BPF library and, tests and benches
//! aside, the only one with `unsafe`.
//!
//! One folder a probe: its C, its records, its README. [`loader`] opens, fits to the running kernel,
//! loads and attaches; [`tcp`] is the first probe: every TCP connection from birth to close;
//! [`conntrack`] asks the kernel who answers behind a translated address.

pub mod conntrack;
pub mod loader;
pub mod tcp;
