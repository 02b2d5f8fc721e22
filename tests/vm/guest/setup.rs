//! What an init does: file systems, the loopback, the serial port of the report, switching off.

use std::fs::File;
use std::process::{Command, Stdio, exit};

use anyhow::{Context, Result, bail};

const PORT: &str = "/dev/ttyS1";

const MOUNTS: [(&str, &str); 5] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("cgroup2", "/sys/fs/cgroup"),
];

/// Mounts what programs expect of a host.
pub(crate) fn filesystems() -> Result<()> {
    for (kind, at) in MOUNTS {
        busybox(&["mount", "-t", kind, kind, at])?;
    }
    Ok(())
}

/// Loads one of the kernel's modules.
pub(crate) fn module(name: &str) -> Result<()> {
    busybox(&["insmod", &format!("/lib/modules/{name}.ko")])
}

/// The port that carries the report, as it is: no echo, no translation.
pub(crate) fn report_port() -> Result<File> {
    busybox(&["stty", "-F", PORT, "raw", "-echo"])?;
    File::options()
        .write(true)
        .open(PORT)
        .with_context(|| format!("cannot write to {PORT}"))
}

/// Runs one of busybox's programs to its end.
pub(crate) fn busybox(arguments: &[&str]) -> Result<()> {
    // There is no /dev/null, which the default would open, before the first mounts.
    let output = Command::new("/bin/busybox")
        .args(arguments)
        .stdin(Stdio::inherit())
        .output();
    let output = output.context("busybox cannot be run")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}

/// Switches the machine off; if that fails, the end of the first process makes the kernel panic, and
/// the machine ends all the same.
pub(crate) fn off() -> ! {
    if let Err(error) = busybox(&["poweroff", "-f"]) {
        eprintln!("guest: {error:#}");
    }
    exit(1)
}
