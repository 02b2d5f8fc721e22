//! The kernel's own statistics of BPF programs (runs, time), for as long as a guard lives.

use std::io;
use std::mem::size_of;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

const BPF_ENABLE_STATS: libc::c_long = 32;

/// While this lives the kernel counts runs and time of every program. It costs each run about
/// 70 ns, and needs CAP_SYS_ADMIN.
#[derive(Debug)]
pub struct StatsOn {
    _fd: OwnedFd,
}

impl StatsOn {
    /// Turns them on; unlike the sysctl, they go off by themselves.
    pub fn new() -> io::Result<StatsOn> {
        let run_time = 0_u32;
        // SAFETY: the attribute of this command is one u32, live for the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_ENABLE_STATS,
                &raw const run_time,
                size_of::<u32>(),
            )
        };
        let fd = RawFd::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(StatsOn { _fd: fd })
    }
}
