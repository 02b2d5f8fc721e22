//! The watch of a large cluster: memory, time to the first name, and changes by the thousand.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tapetum_benches::{figure, note};
use tapetum_k8s::{Clock, Naming, Pace, Scope, Settings, Snapshot, Source, Watch};
use tapetum_model::UnixNanos;
use tokio::runtime::Builder;

use crate::objects::{PODS, uid};
use crate::server::Server;

const RATE: u32 = 1_000;
const SECONDS: u32 = 15;
/// Of how many changes each.
const TURNS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn watch() {
    let server = Server::start();
    let bare = memory_mb();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let settings = Settings {
        scope: Scope::Cluster,
        node: "node-1".into(),
        naming: Naming::default(),
        source: Source::Url(server.url.clone()),
        pace: Pace::default(),
    };
    let begun = Instant::now();
    let watch = {
        let _inside = runtime.enter();
        Watch::start(settings, clock(), 1).expect("it starts")
    };
    let index = watch.index();
    let is_there = |snapshot: &Snapshot, n| snapshot.pod(&uid(1, n)).is_some();
    until(|| (0..PODS).all(|n| is_there(&index.snapshot(), n)));
    note(
        "until every pod has its name",
        begun.elapsed().as_secs_f64(),
        "s",
    );
    let counted = watch.counted();
    note("  requests for it", counted.requests as f64, "");
    note("  bytes for it", counted.received_bytes as f64 / 1e6, "MB");
    note("  memory before it", bare, "MB");
    figure("memory with all of it", memory_mb(), "MB", 50.0);
    changes(&watch, server);
    assert_eq!(watch.counted().lists, 4, "nothing was listed anew");
}

/// Pods that come, go and change without consequence.
fn changes(watch: &Watch, mut server: Server) {
    let index = watch.index();
    let mut memory = Vec::new();
    for turn in 1..=TURNS {
        let before = watch.counted().events;
        let version = index.snapshot().version();
        let (bytes, made) = server.churn(RATE, SECONDS, turn);
        let mark = format!("node-{}", 1_000 + turn);
        let told = Instant::now();
        until(|| index.snapshot().node(&mark).is_some());
        until(|| watch.counted().events >= before + u64::from(made));
        memory.push(memory_mb());
        note("  memory after a turn of changes", memory_mb(), "MB");
        if turn < TURNS {
            continue;
        }
        let seconds = f64::from(SECONDS);
        note("changes of pods", f64::from(made) / seconds, "/s");
        figure(
            "  behind at their end",
            told.elapsed().as_secs_f64(),
            "s",
            1.0,
        );
        let snapshots = index.snapshot().version() - version;
        note("  snapshots", snapshots as f64 / seconds, "/s");
        let each = bytes as f64 / f64::from(made);
        note("  bytes that the API server sends a change", each, "B");
    }
    // The dead are remembered for three minutes, and never more than so many.
    let grown = memory[memory.len() - 1] - memory[memory.len() - 2];
    figure("  memory grown in the last turn", grown, "MB", 1.0);
}

fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came");
        thread::sleep(Duration::from_millis(2));
    }
}

fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        UnixNanos(since.unwrap_or_default().as_nanos() as u64)
    })
}

/// What the kernel says that this process holds.
fn memory_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("a number") / 1e3
}
