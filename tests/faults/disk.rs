//! A queue that persists: kills, stops, full and damaged disks.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::agent::{Agent, Place};
use crate::load::Load;
use crate::sink::{Mood, Sink};
use crate::until;

const PERSISTS: &str = "{ persist = true, disk = \"256MiB\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_loses_nothing_that_was_acknowledged() {
    let sink = Sink::start().await;
    let place = Place::new(&[sink.address], Some(PERSISTS));
    let mut agent = place.start().await;
    let load = Load::start(place.grpc);
    for _ in 0..2 {
        load.more(20_000).await;
        agent.kill();
        agent = place.start().await;
    }
    load.more(5_000).await;
    let acknowledged = load.end().await;
    sink.all(&acknowledged).await;
    agent.settle(&["otlp"]).await;
    let twice = sink.twice();
    assert!(twice * 50 <= acknowledged.len(), "{twice} twice");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_a_backend_that_is_down_keeps_what_was_acknowledged() {
    for queue in [PERSISTS, "{ full = \"spill\", size = \"1MiB\" }"] {
        let sink = Sink::start().await;
        sink.is(Mood::Fails);
        let place = Place::new(&[sink.address], Some(queue));
        let agent = place.start().await;
        let load = Load::start(place.grpc);
        load.more(10_000).await;
        let acknowledged = load.end().await;
        agent.stop().await;
        assert_eq!(sink.has(&acknowledged), 0);
        sink.is(Mood::Takes);
        let agent = place.start().await;
        sink.all(&acknowledged).await;
        agent.settle(&["otlp"]).await;
        assert_eq!(sink.twice(), 0, "{queue}");
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_costs_what_is_damaged_and_is_said() {
    let sink = Sink::start().await;
    sink.is(Mood::Fails);
    let place = Place::new(&[sink.address], Some(PERSISTS));
    let agent = place.start().await;
    let load = Load::start(place.grpc);
    load.more(10_000).await;
    let acknowledged = load.end().await;
    agent.stop().await;
    let segments = place.segments();
    let path = segments.first().expect("a segment");
    let mut bytes = fs::read(path).expect("a segment");
    // In the body of a message in the middle, whatever lies there: a head is 48 of some thousand bytes.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0x55);
    fs::write(path, bytes).expect("a segment");
    sink.is(Mood::Takes);
    let agent = place.start().await;
    agent.settle(&["otlp"]).await;
    let damaged = agent
        .page()
        .sum("tapetum_queue_disk_damaged_bytes_total", "otlp");
    assert!(damaged > 0.0 && agent.log().contains("torn or damaged"));
    let came = sink.has(&acknowledged);
    assert!(
        came < acknowledged.len() && came > acknowledged.len() / 3,
        "{came}"
    );
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_costs_nothing() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("small");
    fs::create_dir(&data).expect("a folder");
    let Some(_mount) = Mount::at(&data) else {
        tapetum_testkit::skip("a full disk", "a file system cannot be mounted here");
        return;
    };
    let sink = Sink::start().await;
    sink.is(Mood::Fails);
    let place = Place::at(folder, data, &[sink.address], Some(PERSISTS));
    let agent = place.start().await;
    let load = Load::start(place.grpc);
    let degraded = |agent: &Agent| agent.page().sum("tapetum_queue_disk_degraded", "otlp") > 0.0;
    until("the disk is full", || degraded(&agent).then_some(())).await;
    let ready = agent.ready();
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(
        ready.contains("cannot use its disk and works in memory"),
        "{ready}"
    );
    load.more(1_000).await;
    sink.is(Mood::Takes);
    // What is delivered makes room on the disk again.
    until("the disk is used again", || {
        (!degraded(&agent)).then_some(())
    })
    .await;
    let acknowledged = load.end().await;
    sink.all(&acknowledged).await;
    agent.settle(&["otlp"]).await;
    agent.stop().await;
}

/// A file system of some megabytes; ends with the test.
struct Mount(std::path::PathBuf);

impl Mount {
    fn at(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        is_mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: the program may still be there when a test has failed.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
