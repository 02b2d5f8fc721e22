//! The probe as user space holds it: the loaded object, its ring, its two iterators.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use aya::include_bytes_aligned;
use aya::maps::{Array, Map, MapData, MapError, RingBuf};
use thiserror::Error;

use super::counters::{
    self, Counters, ProgramStats, SWEEP_BEGAN_NS, SWEEP_LOST, SWEEP_ROWS, WORDS,
};
use super::parse::dispatch;
use super::record::Event;
use super::{LINGER, LISTENERS_MAX, NodeGroup, Options};
use crate::loader::{Host, IterLink, LoadError, Missing, Object, Setting, TCP_HOOKS};

pub(super) static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcp.o"));

/// The running TCP probe. Dropping it detaches everything and frees the sockets' storage.
pub struct Probe {
    object: Object,
    ring: RingBuf<MapData>,
    counters: Array<MapData, [u64; WORDS]>,
    adopt: Option<IterLink>,
    sweep: IterLink,
    malformed: u64,
    _sockets: Map,
}

/// What an adoption found; its rows wait in the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Connections taken in.
    pub connections: u64,
    /// Listeners taken in.
    pub listeners: u64,
    /// Not taken in because of `max_connections`.
    pub over_limit: u64,
    /// Taken in, but the ring had no room to say so: the next sweep does.
    pub untold: u64,
}

/// How a sweep went; its rows wait in the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Its number, as in its rows.
    pub number: u32,
    /// When it began, monotonic.
    pub began_ns: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that found no room.
    pub lost: u64,
}

impl Sweep {
    /// Whether absence from it proves that a socket is gone.
    pub fn whole(&self) -> bool {
        self.lost == 0
    }
}

/// What one [`Probe::drain`] took out of the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records handed on.
    pub records: u64,
    /// Records that were none of ours (a bug, never traffic).
    pub malformed: u64,
}

/// Why the running probe could not do what it was asked.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// This kernel would not take the program that adopts.
    #[error("this kernel cannot list open files: connections older than the agent are not seen")]
    NoAdoption,
    /// An iterator failed.
    #[error("the BPF iterator {program} failed")]
    Iterator {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The counters could not be read.
    #[error("the probe's counters could not be read")]
    Counters(#[from] MapError),
}

impl Probe {
    /// Loads, attaches, and gives back the memory that loading took. From here on births and closes
    /// are in the ring.
    pub fn start(options: &Options) -> Result<Probe, LoadError> {
        let config = config(options);
        let setting = Setting {
            config: &config,
            map_size: ("ring", options.ring_size_bytes()),
        };
        let mut object = Object::load(OBJECT, &TCP_HOOKS, setting, &options.host)?;
        let unusable = |map| {
            move |source| LoadError::Map {
                map,
                source: Some(Box::new(source)),
            }
        };
        let ring = RingBuf::try_from(object.take_map("ring")?).map_err(unusable("ring"))?;
        let counters = Array::try_from(object.take_map(".bss")?).map_err(unusable(".bss"))?;
        let sockets = object.take_map("sockets")?;
        let sweep = object
            .iterator("sweep", Some(&sockets))?
            .ok_or(LoadError::Map {
                map: "sockets",
                source: None,
            })?;
        let adopt = object.iterator("adopt", None)?;
        object.attach()?;
        Ok(Probe {
            object,
            ring,
            counters,
            adopt,
            sweep,
            malformed: 0,
            _sockets: sockets,
        })
    }

    /// Takes in the sockets that exist and are not tracked, of all network namespaces, as far as a
    /// process holds them open: what waits in a listener's queue is found only once it was accepted,
    /// so a second call some seconds after the first one finds it. Writes an
    /// [`Event::Adopted`] or [`Event::Listening`] each: drain them before a sweep.
    pub fn adopt(&mut self) -> Result<Adoption, ProbeError> {
        let Some(adopt) = &self.adopt else {
            return Err(ProbeError::NoAdoption);
        };
        let before = self.counters()?;
        adopt.run().map_err(|source| ProbeError::Iterator {
            program: "adopt",
            source,
        })?;
        let after = self.counters()?;
        Ok(Adoption {
            connections: after.adopted - before.adopted,
            listeners: after.listeners.saturating_sub(before.listeners),
            over_limit: after.over_limit - before.over_limit,
            untold: after.ring_lost.adopted - before.ring_lost.adopted,
        })
    }

    /// Has every tracked socket written to the ring, between [`Event::SweepBegan`] and
    /// [`Event::SweepEnded`]. Holds one CPU for about 0.3 µs a socket.
    pub fn sweep(&mut self) -> Result<Sweep, ProbeError> {
        self.sweep.run().map_err(|source| ProbeError::Iterator {
            program: "sweep",
            source,
        })?;
        let words = self.counters.get(&0, 0)?;
        Ok(Sweep {
            number: u32::try_from(counters::read(&words).sweeps).unwrap_or(u32::MAX),
            began_ns: words[SWEEP_BEGAN_NS],
            rows: words[SWEEP_ROWS],
            lost: words[SWEEP_LOST],
        })
    }

    /// Hands on what is in the ring now, oldest first; returns at once if nothing is.
    pub fn drain(&mut self, on: &mut dyn FnMut(Event<'_>)) -> Drained {
        let mut drained = Drained::default();
        while let Some(record) = self.ring.next() {
            if dispatch(&record, on) {
                drained.records += 1;
            } else {
                drained.malformed += 1;
            }
        }
        self.malformed += drained.malformed;
        drained
    }

    /// Waits for a record, at most `timeout`; then lets more of them gather for [`LINGER`], so that
    /// the thread wakes at most 25 times a second. `false`: there was none.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd {
            fd: self.ring.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, live for the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        match ready {
            0 => Ok(false),
            1.. => {
                thread::sleep(LINGER);
                Ok(true)
            }
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
        }
    }

    /// What the programs counted.
    pub fn counters(&self) -> Result<Counters, ProbeError> {
        Ok(counters::read(&self.counters.get(&0, 0)?))
    }

    /// Runs and run time of each program, while [`StatsOn`](crate::loader::StatsOn) lives somewhere.
    pub fn program_stats(&self) -> Vec<ProgramStats> {
        let stats = self.object.stats();
        stats
            .map(|(name, runs, run_time_ns)| ProgramStats {
                name,
                runs,
                run_time_ns,
            })
            .collect()
    }

    /// The programs that this kernel would not take, and what that costs.
    pub fn missing(&self) -> &[Missing] {
        self.object.missing()
    }

    /// Records of the ring that were none of ours, since the start.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("missing", &self.missing())
            .finish_non_exhaustive()
    }
}

/// Readable while a record waits, for those who poll by themselves: then let records gather for
/// [`LINGER`] before [`Probe::drain`].
impl AsFd for Probe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring's descriptor lives as long as `self`, which the borrow holds.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

/// The programs that this kernel would not take, and why: for `doctor`, which starts nothing.
pub fn rehearse(host: &Host) -> Vec<Missing> {
    let options = Options {
        max_connections: 1,
        ring_bytes: Some(4_096),
        node: Some(NodeGroup { id: 1, v1: false }),
        host: host.clone(),
    };
    let config = config(&options);
    let setting = Setting {
        config: &config,
        map_size: ("ring", options.ring_size_bytes()),
    };
    Object::rehearse(OBJECT, &TCP_HOOKS, setting, host)
}

/// The words of the programs' constant `config`.
fn config(options: &Options) -> [u32; 6] {
    let (hierarchy, id) = match options.node {
        None => (0, 0),
        Some(NodeGroup { id, v1 }) => (if v1 { 2 } else { 1 }, id),
    };
    let (low, high) = (id as u32, (id >> 32) as u32);
    let tick_us = tick_us();
    [
        options.max_connections,
        LISTENERS_MAX,
        tick_us,
        hierarchy,
        low,
        high,
    ]
}

/// Length of the kernel's tick: the resolution of its coarse clock.
fn tick_us() -> u32 {
    let mut resolution = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) };
    u32::try_from(resolution.tv_nsec / 1_000).unwrap_or(0)
}
