//! The cores: one for what is measured, one for everything else; and what a process has used of its own.

use std::mem;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Of load and backend.
pub(crate) const OURS: usize = 0;
/// Of what is measured.
pub(crate) const THEIRS: usize = 1;

/// Binds this process, and all of its threads to come, to a core.
pub(crate) fn pin(core: usize) -> Result<()> {
    // SAFETY: a set of cores is plain bits, and the call only reads the one that is given.
    let failed = unsafe {
        let mut cores: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        libc::sched_setaffinity(0, size_of_val(&cores), &raw const cores)
    };
    ensure!(failed == 0, "there is no core {core}: two are needed");
    Ok(())
}

/// CPU time of all threads of a process, to the nanosecond.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let (mut clock, mut time) = (
        0,
        libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
    );
    // SAFETY: both calls only write what they are given, which is ours; the clock's number is checked
    // by the second one.
    let failed = unsafe {
        libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock)
            | libc::clock_gettime(clock, &raw mut time)
    };
    ensure!(failed == 0, "process {pid} has no clock: has it ended?");
    Ok(Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec)?,
    ))
}
