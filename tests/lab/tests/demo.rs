//! The first thing that a newcomer runs: it shows the shop, ends well, leaves nothing, or says what is missing.

use std::{
    fs,
    process::{Command, Output},
};

use anyhow::Result;
use tapetum_lab::{missing, skip, tapetum_program};

fn demo(through: &[&str], seconds: &str) -> Result<Output> {
    let mut command = Command::new(through[0]);
    command
        .args(&through[1..])
        .args(["demo", "--seconds", seconds]);
    Ok(command.output()?)
}

#[test]
fn shows_every_edge_of_the_shop_and_its_error() -> Result<()> {
    let test = "shows_every_edge_of_the_shop_and_its_error";
    let lacking = missing(&[]).or_else(|| tapetum_program().err().map(|error| error.to_string()));
    if let Some(reason) = lacking {
        skip(test, &reason);
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
    let left = fs::read_dir("/run/netns")?.flatten();
    let left: Vec<String> = left
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !left.iter().any(|name| name.ends_with("-shop-web")),
        "{left:?}"
    );
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
    Ok(())
}
