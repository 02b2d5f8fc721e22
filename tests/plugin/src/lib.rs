//! Components of one's own.

pub mod ports;
