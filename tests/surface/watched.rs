//! `tapetum top` and `tapetum tap` against an agent that runs.

use std::fs;
use std::process::{Command, Output};

use tapetum_lab::skip;

use crate::started::{Started, missing, start, terminate, until_ready};
use crate::{run, stderr};

const FILE: &str = r#"
[receivers.tcp]
exclude = ["self"]
[processors.aggregate]
[exporters.file]
path = "spans.jsonl"
[exporters.prometheus]
listen = "127.0.0.1:9464"
[pipelines.spans]
receivers = ["tcp"]
exporters = ["file"]
[pipelines.metrics]
receivers  = ["tcp"]
processors = ["aggregate"]
exporters  = ["prometheus"]
"#;

#[test]
fn top_and_tap_show_what_moves() {
    if let Some(reason) = missing() {
        skip("top and tap", &reason);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tapetum.toml");
    fs::write(&file, FILE).expect("a file");
    let file = file.display().to_string();
    let mut started = start(&file);
    until_ready(&file, &mut started);

    let output = beside(&started, &["tap"]);
    let edges = String::from_utf8_lossy(&output.stdout).into_owned();
    for edge in [
        "spans:tcp->file",
        "metrics:tcp->aggregate",
        "metrics:aggregate->prometheus",
    ] {
        assert!(edges.contains(edge), "{edges}");
    }
    // The watcher's own connection is one of those that are watched.
    let output = beside(
        &started,
        &["tap", "tcp->aggregate", "--json", "--count", "1"],
    );
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&line["edge"], &line["signal"]),
        (&"tcp->aggregate".into(), &"connections".into())
    );
    assert!(
        line["items"].as_u64() > Some(0) && line["sample"][0]["client"]["address"].is_string(),
        "{line}"
    );

    let output = beside(&started, &["top", "--once", "--json"]);
    let lines: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = lines.as_array().expect("a list");
    let of = |component: &str, pipeline: &str| {
        let is_it = |line: &&serde_json::Value| {
            line["component"] == component && line["pipeline"] == pipeline
        };
        lines
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {component} in {lines:?}"))
    };
    assert!(of("tcp", "metrics")["records_in"].as_f64() > Some(0.0));
    assert!(of("file", "")["queue_capacity_bytes"].as_f64() > Some(0.0));
    let output = beside(&started, &["top", "--once"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        table.starts_with("COMPONENT") && table.contains("aggregate   metrics"),
        "{table}"
    );

    let output = beside(&started, &["tap", "tcp->nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("there is no such edge"),
        "{}",
        stderr(&output)
    );
    terminate(&started);
    assert_eq!(started.agent.wait().expect("it ends").code(), Some(0));
}

#[test]
fn without_an_agent_they_say_so() {
    for command in [
        &["top", "--once", "--admin", "127.0.0.1:1"][..],
        &["tap", "--admin", "127.0.0.1:1"],
    ] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = stderr(&output);
        assert!(
            said.contains("no agent answers at 127.0.0.1:1") && said.contains("--admin"),
            "{said}"
        );
    }
}

/// Runs the program in the network namespace of the agent.
fn beside(started: &Started, arguments: &[&str]) -> Output {
    Command::new("nsenter")
        .args(["--net", "--target", &started.agent.id().to_string()])
        .args(["timeout", "60", env!("CARGO_BIN_EXE_tapetum")])
        .args(arguments)
        .output()
        .expect("nsenter and timeout")
}
