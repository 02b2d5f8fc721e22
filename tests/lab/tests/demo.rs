//! The first thing that a newcomer runs: it shows the shop, ends well, leaves nothing, or says what is missing.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result};
use tapetum_lab::{missing, skip, tapetum_program};

fn demo(through: &[&str], seconds: &str) -> Result<Output> {
    let mut command = Command::new(through[0]);
    command
        .args(&through[1..])
        .args(["demo", "--seconds", seconds]);
    Ok(command.output()?)
}

/// Whether there can be no demo here; then the reason has been said.
fn lacking(test: &str) -> bool {
    let reason = missing(&[]).or_else(|| tapetum_program().err().map(|error| error.to_string()));
    if let Some(reason) = &reason {
        skip(test, reason);
    }
    reason.is_some()
}

/// What is left of the namespaces that the shop's sign named.
fn left_of(sign: &str) -> Result<Vec<String>> {
    let prefix = sign
        .split_whitespace()
        .find_map(|word| word.strip_suffix("*:"));
    let prefix = prefix.context("the sign names no namespaces")?;
    let names = fs::read_dir("/run/netns")?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with(prefix)).collect())
}

#[test]
fn shows_every_edge_of_the_shop_and_its_error() -> Result<()> {
    let test = "shows_every_edge_of_the_shop_and_its_error";
    if lacking(test) {
        return Ok(());
    }
    let output = demo(&[env!("CARGO_BIN_EXE_lab")], "8")?;
    let (shown, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{shown}{said}");
    for (from, to) in [("web", "api"), ("api", "cache"), ("api", "cache-flaky")] {
        let edge = |line: &&str| {
            line.find(from)
                .is_some_and(|at| line[at + from.len()..].contains(to))
        };
        assert!(
            shown.lines().any(|line| edge(&line)),
            "no {from} -> {to} in:\n{shown}"
        );
    }
    let failed = |line: &str| line.contains("refused") || line.contains("reset");
    assert!(
        shown
            .lines()
            .any(|line| line.contains("flaky") && failed(line)),
        "{shown}"
    );
    assert_eq!(left_of(&said)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn ctrl_c_ends_it_well() -> Result<()> {
    if lacking("ctrl_c_ends_it_well") {
        return Ok(());
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["demo", "--seconds", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // The first line of the agent: all is up.
    let mut first = String::new();
    let mut shown = BufReader::new(child.stdout.take().context("no output")?);
    shown.read_line(&mut first)?;
    assert!(!first.is_empty());
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()?;
    assert!(interrupted.success());
    let mut rest = String::new();
    shown.read_to_string(&mut rest)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(left_of(&said)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn says_in_one_sentence_what_is_missing() -> Result<()> {
    let test = "says_in_one_sentence_what_is_missing";
    if let Some(reason) = missing(&["setpriv"]) {
        skip(test, &reason);
        return Ok(());
    }
    // A nobody may not see the build's folder: the program is shown to it where it may.
    let folder = std::env::temp_dir().join(format!("tapetum-lab-nobody-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let program = folder.join("lab");
    fs::copy(env!("CARGO_BIN_EXE_lab"), &program)?;
    let as_nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let without_bpf = ["setpriv", "--bounding-set=-bpf", "--inh-caps=-bpf"];
    let program = program.display().to_string();
    let outputs = [
        (&as_nobody[..], "CAP_NET_ADMIN"),
        (&without_bpf[..], "CAP_BPF"),
    ];
    for (through, capability) in outputs {
        let through: Vec<&str> = through.iter().copied().chain([program.as_str()]).collect();
        let output = demo(&through, "1")?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(capability), "{said}");
    }
    fs::remove_dir_all(&folder)?;
    // What `make demo` calls looks before it installs or builds anything.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo");
    let output = Command::new("setpriv")
        .args(&without_bpf[1..])
        .arg(script)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("CAP_BPF"), "{said}");
    Ok(())
}
