//! From an object file to running programs: open, fit to this kernel, load, attach.
//!
//! What fits is decided by a pure function ([`fit()`]) from facts gathered beforehand ([`facts()`]), so
//! that a test can play every kernel. Whatever a kernel lacks costs its own feature and is said
//! by [`checks()`]; only without BTF, or before Linux 5.15, is there nothing to load.

mod checks;
mod facts;
mod fit;
mod hooks;
mod iter;
mod memory;
mod object;
mod stats;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use self::checks::{Check, Status, checks};
pub use self::facts::{Capability, CgroupLayout, Facts, KernelVersion, facts};
pub use self::fit::{Fit, Refusal, fit};
pub use self::hooks::{Attach, Hook, Need, TCP_HOOKS};
pub use self::iter::IterLink;
pub use self::memory::release;
pub use self::object::{LoadError, Missing, Object, Setting};
pub use self::stats::StatsOn;

/// Where the host's `/proc` and `/sys` are: elsewhere in a container, a folder in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Normally `/proc`.
    pub proc: PathBuf,
    /// Normally `/sys`.
    pub sys: PathBuf,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
        }
    }
}

impl Host {
    /// The kernel's own type information.
    pub fn btf(&self) -> PathBuf {
        self.sys.join("kernel/btf/vmlinux")
    }
}
