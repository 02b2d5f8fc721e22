//! `tapetum doctor --json`, with all privileges and with each one taken away.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tapetum_lab::skip;

use crate::compare;

/// Each set of what is taken away, as `setpriv` calls it.
const TAKEN: [&str; 7] = [
    "",
    "-bpf,-sys_admin",
    "-perfmon,-sys_admin",
    "-net_admin",
    "-sys_ptrace",
    "-sys_admin",
    "-all",
];

fn without(taken: &str, arguments: &[&str]) -> Output {
    let taken = if taken.is_empty() { "+all" } else { taken };
    Command::new("setpriv")
        .args(["--bounding-set", taken, env!("CARGO_BIN_EXE_tapetum")])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("setpriv (Debian: util-linux)")
}

fn rows(taken: &str) -> (Option<i32>, Vec<Value>) {
    let output = without(taken, &["doctor", "--json"]);
    let rows = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{taken}: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.code(), rows)
}

/// What depends on the machine is left out: of a row on the kernel or the host, that it is there.
fn same_everywhere(row: &Value) -> Value {
    let id = row["id"].as_str().unwrap_or_default();
    if id.starts_with("capability.") {
        return row.clone();
    }
    json!({ "id": id, "name": row["name"] })
}

#[test]
fn each_privilege_is_a_row() {
    if !is_root() {
        skip(
            "doctor without privileges",
            "taking privileges away needs root",
        );
        return;
    }
    let mut seen = Vec::new();
    for taken in TAKEN {
        let (code, rows) = rows(taken);
        let fatal = rows
            .iter()
            .any(|row| row["fatal"] == json!(true) && row["status"] == json!("missing"));
        assert_eq!(code, Some(i32::from(fatal)), "{taken}");
        for row in &rows {
            let is_well = row["status"] == json!("ok");
            assert_eq!(is_well, row["lost"] == json!(""), "{row}");
            assert!(is_well || row["advice"] != json!(""), "{row}");
        }
        let rows: Vec<_> = rows.iter().map(same_everywhere).collect();
        seen.push(json!({ "taken": taken, "rows": rows }));
    }
    let text = serde_json::to_string_pretty(&seen).expect("JSON") + "\n";
    compare("doctor.json", &text);
}

#[test]
fn what_cannot_observe_does_not_run() {
    if !is_root() {
        skip(
            "run without privileges",
            "taking privileges away needs root",
        );
        return;
    }
    let output = without("-bpf,-sys_admin", &["run", "-c", "config/demo.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let row = "error: tracepoint inet_sock_set_state: present, but CAP_BPF is missing: ";
    assert!(told.starts_with(row), "{told}");
    assert!(told.contains("give the process CAP_BPF"), "{told}");
}

/// On a kernel without type information, or one that is too old, as far as its files say.
#[test]
fn a_kernel_that_cannot_be_watched_is_a_row_and_the_end() {
    if !is_root() {
        skip(
            "run on other kernels",
            "to hide the kernel's files needs root",
        );
        return;
    }
    let old = "echo 5.10.0-28-amd64 >\"$1/release\" && mount --bind \"$1/release\" /proc/sys/kernel/osrelease";
    for (hide, id, sentence) in [
        (
            "mount -t tmpfs none /sys/kernel/btf",
            "kernel.btf",
            "error: kernel type information: none at /sys/kernel/btf/vmlinux: nothing is observed; ",
        ),
        (
            old,
            "kernel.version",
            "error: kernel version: 5.10.0-28-amd64: nothing is observed; run linux 5.15 or newer",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let there = |arguments: &[&str]| {
            Command::new("unshare")
                .args(["--mount", "sh", "-c"])
                .arg(format!("{hide} && shift && exec \"$0\" \"$@\""))
                .arg(env!("CARGO_BIN_EXE_tapetum"))
                .arg(folder.path())
                .args(arguments)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .output()
                .expect("unshare (Debian: util-linux)")
        };
        let ran = there(&["run", "-c", "config/demo.toml"]);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{told}");
        assert!(told.starts_with(sentence), "{told}");

        let doctor = there(&["doctor", "--json"]);
        assert_eq!(doctor.status.code(), Some(1), "{id}");
        let rows: Vec<Value> = serde_json::from_slice(&doctor.stdout).expect("rows");
        let row = rows.iter().find(|row| row["id"] == json!(id)).expect(id);
        assert_eq!(
            (&row["status"], &row["fatal"]),
            (&json!("missing"), &json!(true))
        );
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}
