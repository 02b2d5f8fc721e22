//! What the programs count about themselves, read from their one page of counters.

use super::parse::kind;

/// Counts since [`Probe::start`](super::Probe::start); only `tracked` and `listeners` go down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections tracked now.
    pub tracked: u64,
    /// Listeners known now.
    pub listeners: u64,
    /// Connections taken in at birth: SYN sent, or accepted by the kernel.
    pub births: u64,
    /// Of these and of the adopted ones, how many became established while watched.
    pub opened: u64,
    /// Tracked connections that closed.
    pub closes: u64,
    /// Connections taken in by adoption.
    pub adopted: u64,
    /// Connections not tracked because of `max_connections`.
    pub over_limit: u64,
    /// Listeners not known for want of room.
    pub listeners_over_limit: u64,
    /// Sockets not tracked because the kernel refused memory.
    pub no_memory: u64,
    /// Sweeps begun.
    pub sweeps: u64,
    /// Sockets that a sweep found dead and let go: their close was not seen.
    pub ghosts: u64,
    /// Who adopts and sweeps, by the number that rows have: in a PID namespace of its own a process has
    /// another one for itself. 0 before the first adoption or sweep.
    pub reader: u64,
    /// Ends of connections that are not tracked because they are on another node of this kernel
    /// ([`Options::node`](super::Options::node)).
    pub elsewhere: u64,
    /// Records that found no room in the ring, by kind.
    pub ring_lost: RingLost,
}

/// Records that found no room, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingLost {
    /// [`Event::Opened`](super::Event::Opened): found by the next sweep.
    pub opened: u64,
    /// [`Event::Closed`](super::Event::Closed): absent from the next whole sweep.
    pub closed: u64,
    /// [`Event::Adopted`](super::Event::Adopted): found by the next sweep.
    pub adopted: u64,
    /// [`Event::Swept`](super::Event::Swept): that sweep was not whole.
    pub swept: u64,
    /// Listeners, new or gone.
    pub listeners: u64,
    /// Begin and end of sweeps.
    pub sweep_marks: u64,
    /// [`Event::CgroupMade`](super::Event::CgroupMade).
    pub cgroups: u64,
}

/// What the kernel says of one program; zero unless its statistics are on (see `README.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStats {
    /// The program's name.
    pub name: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// For how long, the statistics' own clock included.
    pub run_time_ns: u64,
}

impl RingLost {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.opened
            + self.closed
            + self.adopted
            + self.swept
            + self.listeners
            + self.sweep_marks
            + self.cgroups
    }
}

/// As `struct tapetum_counters` has them.
pub(super) const WORDS: usize = 20 + kind::KINDS;
pub(super) const SWEEP_BEGAN_NS: usize = 11;
pub(super) const SWEEP_ROWS: usize = 15;
pub(super) const SWEEP_LOST: usize = 16;

pub(super) fn read(words: &[u64; WORDS]) -> Counters {
    let lost = |kind: u16| words[20 + usize::from(kind)];
    Counters {
        tracked: words[0],
        listeners: words[1],
        births: words[2],
        opened: words[3],
        closes: words[4],
        adopted: words[5],
        over_limit: words[6],
        listeners_over_limit: words[7],
        no_memory: words[8],
        sweeps: words[9],
        ghosts: words[17],
        reader: words[18],
        elsewhere: words[19],
        ring_lost: RingLost {
            opened: lost(kind::OPENED),
            closed: lost(kind::CLOSED),
            adopted: lost(kind::ADOPTED),
            swept: lost(kind::SWEPT),
            listeners: lost(kind::LISTENING) + lost(kind::LISTENER_CLOSED),
            sweep_marks: lost(kind::SWEEP_BEGAN) + lost(kind::SWEEP_ENDED),
            cgroups: lost(kind::CGROUP_MADE),
        },
    }
}
