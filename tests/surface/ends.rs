//! How commands end: exit status, and what they do when nobody reads any more.

use std::fs;
use std::process::Stdio;

use crate::{run, stderr, stdout, tapetum};

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &["nothing"][..],
        &["validate", "--nothing"],
        &["components", "nothing"],
        &["run", "-c", "/nowhere.toml"],
        &["validate", "/nowhere.toml"],
        &["graph", "/nowhere.toml"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).starts_with("error: "),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_wrong_file_ends_with_2_and_all_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (
        folder.path().join("one.toml"),
        folder.path().join("two.toml"),
    );
    fs::write(&one, "[service]\nmemroy = \"1GiB\"\n").expect("written");
    fs::write(&two, "[service]\ndrain = 10\n").expect("written");
    for command in ["validate", "graph"] {
        let output = tapetum()
            .arg(command)
            .args([&one, &two])
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{command}");
        let told = stderr(&output);
        for part in [
            "one.toml:2:1",
            "did you mean `memory`?",
            "two.toml:2:9",
            "expected a duration, found a whole number",
            "there is no pipeline",
            "3 errors",
        ] {
            assert!(
                told.contains(part),
                "{command} does not say {part}:\n{told}"
            );
        }
        assert!(!told.contains('\x1b'), "colour where nobody sees it");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    for arguments in [
        &["components", "--json"][..],
        &["components"],
        &["doctor", "--json"],
        &["--help"],
        &["graph", "config/demo.toml"],
    ] {
        let mut child = tapetum()
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(stderr(&output), "", "{arguments:?}");
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{arguments:?}: {:?}",
            output.status
        );
    }
}

#[test]
fn a_closed_standard_error_is_no_panic() {
    let mut child = tapetum()
        .args(["validate", "/nowhere.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(2));
}

#[test]
fn a_file_that_does_not_fit_into_its_memory_is_not_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("one.toml");
    let text = fs::read_to_string("config/demo.toml").expect("it ships");
    let text = text.replacen("[service]", "[service]\nmemory = \"64MiB\"", 1);
    fs::write(&file, text).expect("written");
    let output = tapetum()
        .arg("validate")
        .arg(&file)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("but `service.memory` is 64MiB: raise it, or lower"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stdout(&output), "");
}
