//! The JSON Schema of the file, judged by a validator that is not ours: it takes what ships and what the
//! components show, and refuses what `validate` refuses of single values.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tapetum::pipeline::{Component, Kind};
use tapetum_config::shipped::SHIPPED;

use crate::{compare, run, stdout};

/// Wrong, and what a schema must say of it.
const WRONG: [(&str, &str); 13] = [
    ("[receiver.tcp]", "'receiver'"),
    ("[receivers.tpc]", "'tpc'"),
    ("[receivers.\"tcp/a b\"]", "'tcp/a b'"),
    ("[receivers.tcp]\nsweeep = \"10s\"", "'sweeep'"),
    ("[receivers.tcp]\nsweep = 10", "receivers/tcp/sweep"),
    ("[receivers.tcp]\nsweep = \"10\"", "receivers/tcp/sweep"),
    (
        "[receivers.tcp]\nmax_connections = -1",
        "receivers/tcp/max_connections",
    ),
    ("[service]\nmemory = \"256 MiB\"", "service/memory"),
    (
        "[processors.sample]\nkeep_errors = \"yes\"",
        "processors/sample/keep_errors",
    ),
    (
        "[exporters.otlp]\nendpoint = \"collector:4317\"",
        "exporters/otlp/endpoint",
    ),
    (
        "[exporters.otlp]\nendpoint = \"http://a:1\"\nqueue = { full = \"drop\" }",
        "exporters/otlp/queue/full",
    ),
    (
        "[exporters.prometheus]\nqueue = { size = \"1MiB\" }",
        "'queue'",
    ),
    (
        "[pipelines.a]\nreceivers = [\"otlb\"]\nexporters = []",
        "pipelines/a/exporters",
    ),
];

#[test]
fn the_schema() {
    let text = stdout(&run(&["schema"]));
    compare("schema.json", &text);
}

#[test]
fn it_takes_what_is_right() {
    let mut right: Vec<String> = SHIPPED.iter().map(|one| one.text.to_owned()).collect();
    right.extend(tapetum::components().into_iter().map(example));
    right.push(
        "[receivers.tcp]\nmax_connections = \"${env:MANY:-9}\"\nsweep = \"${env:SWEEP}\""
            .to_owned(),
    );
    right.push("[exporters.\"otlp/second.one\"]\nendpoint = \"http://[::1]:4317\"".to_owned());
    let Some(found) = judged("it_takes_what_is_right", &right) else {
        return;
    };
    for (text, errors) in right.iter().zip(found) {
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[test]
fn it_refuses_what_is_wrong() {
    let wrong: Vec<_> = WRONG.iter().map(|(text, _)| (*text).to_owned()).collect();
    let Some(found) = judged("it_refuses_what_is_wrong", &wrong) else {
        return;
    };
    for ((text, said), errors) in WRONG.iter().zip(found) {
        let is_said = errors.iter().any(|error| error.contains(said));
        assert!(
            is_said,
            "{text}\nis refused with {errors:?}, not with {said}"
        );
    }
}

fn example(component: &'static Component) -> String {
    let table = match component.kind() {
        Kind::Receiver => "receivers",
        Kind::Processor => "processors",
        Kind::Exporter => "exporters",
    };
    format!("[{table}.{}]\n{}", component.name, component.example)
}

/// What the validator says of each text; `None` where there is no validator.
fn judged(test: &str, texts: &[String]) -> Option<Vec<Vec<String>>> {
    let python = |script: &[&str]| {
        let mut command = Command::new("python3");
        command.args(script);
        command
    };
    let has = python(&["-c", "import jsonschema, tomllib"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        tapetum_testkit::skip(test, "needs python3-jsonschema");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: String, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let schema = write("schema.json".to_owned(), &stdout(&run(&["schema"])));
    let numbered = texts.iter().enumerate();
    let files = numbered.map(|(at, text)| write(format!("{at}.toml"), text));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surface/schema.py");
    let output = python(&[]).arg(script).arg(schema).args(files).output();
    let output = output.expect("python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).expect("a list"))
}
