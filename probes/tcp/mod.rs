//! Every TCP connection of this kernel, from its birth to its close, at no cost per packet.
//!
//! [`Probe::start`] loads and attaches; from then on the kernel writes a [`Row`] when a connection is
//! established and when it closes. [`Probe::adopt`] takes in the sockets that are older than the
//! probe; [`Probe::sweep`] has the counters of every tracked socket written, whole or not at all.
//! All of it comes out of [`Probe::drain`] as [`Event`]s, in the order in which the kernel wrote it.
//!
//! ```no_run
//! # use std::time::Duration;
//! use tapetum_probes::tcp::{Event, Options, Probe};
//! let mut probe = Probe::start(&Options::default())?;
//! let mut on = |event: Event<'_>| match event {
//!     Event::Opened(row) | Event::Closed(row) => { let _ = (row.local(), row.peer()); }
//!     _ => {}
//! };
//! probe.adopt()?;
//! probe.drain(&mut on); // before the sweep: the ring holds one row a socket, not two
//! probe.sweep()?;
//! loop {
//!     probe.drain(&mut on);
//!     probe.wait(Duration::from_secs(1))?; // at most 25 times a second, however many records
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Probe`] belongs to one thread at a time (it is `Send`); nothing in it blocks but
//! [`Probe::wait`]. What the ring had no room for is in [`Counters::ring_lost`], and the next sweep
//! finds it: a lost birth as a [`Event::Swept`] row without [`flags::ANNOUNCED`], a lost close as
//! absence from a whole sweep of what was there before [`Event::SweepBegan`].

mod counters;
mod end;
mod parse;
mod probe;
mod record;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::counters::{Counters, ProgramStats, RingLost};
pub use self::end::{End, Failure};
pub use self::probe::{Adoption, Drained, Probe, ProbeError, Sweep, rehearse};
pub use self::record::{CgroupMade, Event, Role, Row, SweepEnded, flags};
use crate::loader::Host;

/// How long [`Probe::wait`] lets records gather after the first one woke it: it bounds wake-ups to
/// 25 a second and a record's delay to well under 100 ms.
pub const LINGER: Duration = Duration::from_millis(40);

/// Most of what one listener's worth of storage may take: beyond, a listener's connections are
/// still tracked, only without their process.
const LISTENERS_MAX: u32 = 4_096;

/// Kernel memory of one tracked socket, as measured (`README.md`), rounded up.
const SOCKET_BYTES: u64 = 512;

/// What [`Probe::start`] needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections tracked at once, enforced in the kernel; beyond, they are counted.
    pub max_connections: u32,
    /// Size of the ring; rounded up to a power of two. [`None`]: room for a sweep of
    /// `max_connections` and 1 MiB besides.
    pub ring_bytes: Option<u32>,
    /// The control group of this node, where other nodes share the kernel: what lies outside of it is
    /// counted and not tracked. [`None`]: everything is tracked.
    pub node: Option<NodeGroup>,
    /// Where `/proc` and `/sys` are.
    pub host: Host,
}

/// The control group below which everything of one node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeGroup {
    /// Inode of its directory.
    pub id: u64,
    /// Whether it is one of the memory hierarchy of v1, and not of the unified hierarchy.
    pub v1: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            max_connections: 65_536,
            ring_bytes: None,
            node: None,
            host: Host::default(),
        }
    }
}

impl Options {
    /// The ring's size as it will be.
    pub fn ring_size_bytes(&self) -> u32 {
        const PAGE: u64 = 4_096;
        const RECORD_HEAD: u64 = 8;
        let rows = u64::from(self.max_connections) * (size_of::<Row>() as u64 + RECORD_HEAD);
        let wanted = self.ring_bytes.map_or(rows + (1 << 20), u64::from);
        let rounded = wanted.max(PAGE).next_power_of_two().min(1 << 30);
        u32::try_from(rounded).unwrap_or(1 << 30)
    }

    /// The most kernel memory that the probe can be charged with: ring and sockets.
    pub fn kernel_bytes(&self) -> u64 {
        let sockets = u64::from(self.max_connections) + u64::from(LISTENERS_MAX);
        u64::from(self.ring_size_bytes()) + sockets * SOCKET_BYTES
    }
}
