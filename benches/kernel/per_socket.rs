//! What a socket costs: at adoption, at a sweep, in kernel memory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tapetum_benches::{Figure, median};
use tapetum_probes::tcp::{Event, Options, Probe};

use crate::crowd::Crowd;

const SOCKETS: usize = 100_000;
const ROUNDS: usize = 3;
const SWEEPS: usize = 5;

/// Times are this thread's on a CPU: what it waited for others to leave the CPU is not the probe's.
pub(crate) fn measure() -> Result<Vec<Figure>> {
    let crowd = Crowd::gather(SOCKETS)?;
    let group = Group::entered()?;
    let options = Options {
        max_connections: 120_000,
        ..Options::default()
    };
    let mut adoptions_ms = Vec::new();
    let mut sweeps_us = Vec::new();
    let mut reads_us = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..ROUNDS {
        let mut probe = Probe::start(&options)?;
        let before = group.bytes()?;
        let started_ns = thread_ns();
        let adoption = probe.adopt()?;
        let adoption_ns = (thread_ns() - started_ns) as f64;
        let sockets = adoption.connections as f64;
        ensure!(adoption.untold == 0, "the ring was too small: {adoption:?}");
        ensure!(
            sockets as usize >= crowd.sockets,
            "not all adopted: {adoption:?}"
        );
        adoptions_ms.push(adoption_ns / 1e6 * SOCKETS as f64 / sockets);
        bytes.push(group.bytes()?.saturating_sub(before) as f64 / sockets);
        probe.drain(&mut |_| {});
        for _ in 0..SWEEPS {
            let (sweep_us, read_us) = sweep(&mut probe, crowd.sockets)?;
            sweeps_us.push(sweep_us);
            reads_us.push(read_us);
        }
    }
    let read = format!("reading it {:.2} us", median(reads_us));
    let charged = "charged to this process's control group";
    Ok(vec![
        Figure::at_most(
            "adoption of 100 000 sockets",
            median(adoptions_ms),
            "ms",
            200.0,
            "CPU",
        ),
        Figure::at_most(
            "sweep, an idle socket of 100 000",
            median(sweeps_us),
            "us",
            0.4,
            &read,
        ),
        Figure::at_most(
            "kernel memory, a socket",
            median(bytes),
            "B",
            512.0,
            charged,
        ),
    ])
}

fn sweep(probe: &mut Probe, sockets: usize) -> Result<(f64, f64)> {
    let started_ns = thread_ns();
    let sweep = probe.sweep()?;
    let swept_ns = thread_ns();
    ensure!(sweep.whole(), "a sweep was not whole: {sweep:?}");
    let mut rows = 0;
    probe.drain(&mut |event| {
        rows += u64::from(matches!(event, Event::Swept(_) | Event::Unchanged { .. }));
    });
    let read_ns = thread_ns();
    ensure!(rows as usize >= sockets, "a sweep missed some: {rows} rows");
    let each_us = |from_ns: u64, to_ns: u64| (to_ns - from_ns) as f64 / 1e3 / rows as f64;
    Ok((each_us(started_ns, swept_ns), each_us(swept_ns, read_ns)))
}

fn thread_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
