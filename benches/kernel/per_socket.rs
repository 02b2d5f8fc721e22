//! What a socket costs: at adoption, at a sweep, in kernel memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tapetum_probes::tcp::{Event, Options, Probe};

use crate::crowd::Crowd;
use crate::figure::{Figure, median};

const SOCKETS: usize = 100_000;
const SWEEPS: usize = 15;

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let crowd = Crowd::gather(SOCKETS)?;
    let group = Group::entered()?;
    let options = Options {
        max_connections: 120_000,
        ..Options::default()
    };
    let mut probe = Probe::start(&options)?;
    let before = group.bytes()?;
    let started = Instant::now();
    let adoption = probe.adopt()?;
    let adoption_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let charged = group.bytes()?.saturating_sub(before);
    ensure!(adoption.untold == 0, "the ring was too small: {adoption:?}");
    ensure!(
        adoption.connections as usize >= crowd.sockets,
        "not all adopted: {adoption:?}"
    );
    probe.drain(&mut |_| {});
    let mut sweeps_us = Vec::new();
    let mut drains_us = Vec::new();
    for _ in 0..SWEEPS {
        let started = Instant::now();
        let sweep = probe.sweep()?;
        sweeps_us.push(started.elapsed().as_secs_f64() * 1e6 / sweep.rows as f64);
        ensure!(sweep.whole(), "a sweep was not whole: {sweep:?}");
        let mut rows = 0;
        let started = Instant::now();
        probe.drain(&mut |event| {
            rows += u64::from(matches!(event, Event::Swept(_) | Event::Unchanged { .. }))
        });
        drains_us.push(started.elapsed().as_secs_f64() * 1e6 / rows as f64);
        ensure!(
            rows as usize >= crowd.sockets,
            "a sweep missed some: {rows} rows"
        );
    }
    let sockets = adoption.connections;
    let drain = format!(
        "{sockets} sockets; reading them {:.2} us",
        median(drains_us)
    );
    Ok(vec![
        Figure::at_most(
            "adoption of 100 000 sockets",
            adoption_ms * SOCKETS as f64 / sockets as f64,
            "ms",
            200.0,
            &format!("{sockets} in {adoption_ms:.0} ms"),
        ),
        Figure::at_most("sweep, a socket", median(sweeps_us), "us", 0.4, &drain),
        Figure::at_most(
            "kernel memory, a socket",
            charged as f64 / sockets as f64,
            "B",
            512.0,
            "charged to this process's control group",
        ),
    ])
}

/// A memory control group of our own: what the kernel charges to it is what the sockets cost.
struct Group {
    folder: PathBuf,
    back: PathBuf,
    usage: &'static str,
}

impl Group {
    fn entered() -> Result<Group> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, usage) = if v1.join("memory.usage_in_bytes").exists() {
            (v1, "memory.usage_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.current")
        };
        let folder = root.join(format!("tapetum-bench-kernel-{}", std::process::id()));
        fs::create_dir(&folder).context("a memory control group; run as root")?;
        let group = Group {
            folder,
            back: root.join("cgroup.procs"),
            usage,
        };
        fs::write(
            group.folder.join("cgroup.procs"),
            std::process::id().to_string(),
        )
        .context("entering it")?;
        Ok(group)
    }

    fn bytes(&self) -> Result<u64> {
        let text = fs::read_to_string(self.folder.join(self.usage)).context("its usage")?;
        Ok(text.trim().parse()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(&self.back, std::process::id().to_string());
        let _ = fs::remove_dir(&self.folder);
    }
}
