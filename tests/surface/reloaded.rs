//! The whole program, whose file changes as a ConfigMap does: by a link two folders up. A file that is broken
//! leaves what runs alone and says so; one that is right is taken without a restart.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tapetum_lab::skip;

use crate::started::{PATIENCE, Started, ask, missing, start, terminate, until_ready};

const FIRST: &str = r#"
[receivers.tcp]
[exporters.file]
path = "spans.jsonl"
[pipelines.connections]
receivers = ["tcp"]
exporters = ["file"]
"#;

const SECOND: &str = r#"
[processors.aggregate]
[exporters.prometheus]
listen = "127.0.0.1:9464"
[pipelines.metrics]
receivers  = ["tcp"]
processors = ["aggregate"]
exporters  = ["prometheus"]
"#;

const BROKEN: &str = "[receivers.tcp]\nsweeep = \"10s\"\n[pipelines.a]\nreceivers = [\"tcp\"]\n";

#[test]
fn a_changed_config_map_is_taken_and_a_broken_one_is_not() {
    if let Some(reason) = missing() {
        skip("a changed config map", &reason);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    mount(folder.path(), "..1", FIRST);
    symlink("..data/tapetum.toml", at("tapetum.toml")).expect("a link");
    let file = at("tapetum.toml").display().to_string();
    let mut started = start(&file);
    until_ready(&file, &mut started);

    mount(folder.path(), "..2", BROKEN);
    until(
        &started,
        "/readyz",
        "file: not taken, the pipelines go on as they were",
    );
    let readiness = page(&started, "/readyz");
    assert!(
        readiness.contains(&format!("{file}:2:1: unknown key `sweeep`")),
        "{readiness}"
    );
    let metrics = page(&started, "/metrics");
    assert!(metrics.contains("tapetum_reload_failed 1"), "{metrics}");

    mount(folder.path(), "..3", &format!("{FIRST}{SECOND}"));
    until(
        &started,
        "/metrics",
        "tapetum_reloads_total{reason=\"changed\"} 1",
    );
    assert!(!page(&started, "/readyz").contains("file:"));
    let metrics = page(&started, "/metrics");
    assert!(metrics.contains("tapetum_reload_failed 0"), "{metrics}");
    let log = || fs::read_to_string(started.log.path()).expect("its log");
    let taken = log()
        .lines()
        .find(|line| line.contains("read again: changed"))
        .map(str::to_owned);
    let taken = taken.expect("a line on what changed");
    assert!(
        taken.contains("prometheus") && taken.contains("kept"),
        "{taken}"
    );

    let pid = started.agent.id().to_string();
    let told = Command::new("kill").args(["-HUP", &pid]).status();
    assert!(told.expect("kill").success());
    until(
        &started,
        "/metrics",
        "tapetum_reloads_total{reason=\"unchanged\"} 1",
    );
    terminate(&started);
    assert_eq!(started.agent.wait().expect("it ends").code(), Some(0));
}

/// As the kubelet does it: a new folder, and a link that is exchanged for another at once.
fn mount(folder: &Path, version: &str, text: &str) {
    fs::create_dir(folder.join(version)).expect("a folder");
    fs::write(folder.join(version).join("tapetum.toml"), text).expect("a file");
    symlink(version, folder.join("..data_tmp")).expect("a link");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("the link");
}

fn page(started: &Started, path: &str) -> String {
    let output = ask(started.agent.id(), path);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn until(started: &Started, path: &str, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = page(started, path);
        if page.contains(words) {
            return;
        }
        let log = fs::read_to_string(started.log.path()).unwrap_or_default();
        assert!(Instant::now() < deadline, "no {words} in {page}\n{log}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
