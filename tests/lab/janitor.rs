//! The janitor: a process that outlives whoever built a lab, for as long as it takes to clean up.
//!
//! It waits for the end of a pipe whose other end only the builder holds. That ends with the builder,
//! in whatever way the builder ends, so an orderly drop, a panic, Ctrl-C and `kill -9` are one path.

use std::{
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, Result};

/// Signals are ignored: Ctrl-C reaches the whole foreground group, and this is who cleans up after it.
/// A lab's processes are exactly those in its cgroups, so they are ended by number and nothing else is.
/// The wire goes last: with it the lab's number is free for the next one.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
prefix=$1 cgroup=$2 dir=$3
cat >/dev/null
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  pids=$(find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null)
  [ -n "$pids" ] || break
  kill -9 $pids 2>/dev/null
  sleep 0.05
done
find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
rmdir "/sys/fs/cgroup/memory/$prefix-limited" 2>/dev/null
rm -rf "$dir"
for namespace in /run/netns/"$prefix"-*; do
  case $namespace in *-wire) ;; *) ip netns delete "${namespace##*/}" ;; esac
done
ip netns delete "$prefix-wire"
"#;

/// Dropping it cleans up and returns when all is gone.
#[derive(Debug)]
pub(crate) struct Janitor {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Janitor {
    /// Hires one for the namespaces `prefix-*`, the processes and cgroups below `cgroup`, and `dir`.
    pub(crate) fn hire(prefix: &str, cgroup: &Path, dir: &Path) -> Result<Self> {
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "lab-janitor", prefix])
            .args([cgroup, dir])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the lab's janitor")?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.pipe.take();
        // Nothing to do about a failure here: the next lab takes another number.
        let _ = self.process.wait();
    }
}
