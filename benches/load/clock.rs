//! What another process has used of the processors, to the nanosecond: `/proc/PID/stat` counts in
//! ticks of ten milliseconds, which cannot tell 0.03 s from 0.05 s.

use std::time::Duration;

use anyhow::{Result, ensure};

/// CPU time of all threads of a process, also of those that have ended.
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
