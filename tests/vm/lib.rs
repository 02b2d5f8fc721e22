//! Boots Debian's kernels in an emulated machine (QEMU without hardware help, so that it works
//! inside another virtual machine) and reads what a guest program of ours saw there.
//!
//! A boot is: a kernel out of Debian's package ([`debian`]), a file system in memory that holds
//! busybox and our programs ([`archive`], [`image`]), and the machine ([`machine`]), whose second
//! serial port carries the guest's report, one JSON line a check ([`report`]). The guest only says
//! what it saw and counted; `kernels.rs` judges.

pub mod archive;
pub mod debian;
pub mod image;
pub mod machine;
pub mod report;

use std::fmt;

/// Why this machine cannot boot a kernel: not a failure, but never silent either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent(pub String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Absent {}
