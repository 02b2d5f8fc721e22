//! The kernel programs of one process, and what they have run: other agents on this kernel have
//! programs of the same names.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use aya::programs::loaded_programs;

/// Runs and time of all programs of a process; both stand still while statistics are off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) runs: u64,
    pub(crate) time: Duration,
}

impl Ran {
    pub(crate) fn of(pid: u32) -> Result<Ran> {
        let ids = ids(pid)?;
        ensure!(!ids.is_empty(), "process {pid} has no program loaded");
        let mut ran = Ran::default();
        for program in loaded_programs() {
            // One may go away between being listed and being asked.
            let Ok(program) = program else { continue };
            if ids.contains(&program.id()) {
                ran.runs += program.run_count();
                ran.time += program.run_time();
            }
        }
        Ok(ran)
    }

    pub(crate) fn since(self, before: Ran) -> Ran {
        Ran {
            runs: self.runs - before.runs,
            time: self.time.saturating_sub(before.time),
        }
    }
}

/// By the descriptors that the process holds.
fn ids(pid: u32) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for descriptor in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(descriptor?.path()) else {
            continue;
        };
        // A link to a program names it too.
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        if let Some(Ok(id)) = id.map(|id| id.trim().parse()) {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
