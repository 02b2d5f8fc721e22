//! The lab: small clusters built from network namespaces on this one kernel, to judge Tapetum by.
//!
//! A [`Lab`] has nodes, a [`Node`] has pods, and both run real processes in cgroups and network
//! namespaces of their own: virtual IPs, masquerading, drops and loss are nftables rules, bytes are
//! counted by a sender and a receiver of our own ([`peer`]), and an [`Agent`] is the real program. What a
//! test compares is therefore never Tapetum with itself.
//!
//! Whatever happens to the process that built a lab (a panic, Ctrl-C, `kill -9`), its namespaces,
//! processes, cgroups and files go away: see `janitor.rs`.

pub mod agent;
mod backends;
mod cgroup;
pub mod cluster;
pub mod demo;
mod figure;
mod http;
mod janitor;
pub mod ledger;
mod namespace;
mod node;
pub mod peer;
mod place;
mod privilege;
mod programs;
pub mod prometheus;
mod spans;
pub mod tools;
mod topology;
pub mod traffic;

pub use agent::{Agent, Pipelines};
pub use backends::{Collector, Jaeger};
pub use cluster::Cluster;
pub use figure::figure;
pub use ledger::Ledger;
pub use node::{Node, Pod};
pub use place::{Place, Process, until};
pub use privilege::missing;
pub use programs::{lab_program, tapetum_program};
pub use prometheus::Prometheus;
pub use spans::{Attributes, Span};
pub use tapetum_testkit::skip;
pub use tools::{Curl, Iperf, SocketInfo};
pub use topology::Lab;
pub use traffic::{Count, Server, Talk};
