//! The loader's decisions, played on kernels and hosts that are folders.

use std::fs;
use std::path::Path;

use super::{CgroupLayout, Host, Refusal, Status, TCP_HOOKS, checks, facts, fit};

/// Type information with nothing in it but names.
fn types(names: &[String]) -> Vec<u8> {
    let strings: Vec<u8> = [0]
        .into_iter()
        .chain(names.join("\0").bytes())
        .chain([0])
        .collect();
    let mut header = vec![0x9f, 0xeb, 1, 0];
    for word in [24_u32, 0, 0, 0, strings.len() as u32] {
        header.extend(word.to_ne_bytes());
    }
    header.into_iter().chain(strings).collect()
}

fn host(root: &Path, release: &str, capabilities: u64, without: &[&str]) -> Host {
    let host = Host {
        proc: root.join("proc"),
        sys: root.join("sys"),
    };
    let write = |path: &Path, text: &[u8]| {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let names: Vec<String> = TCP_HOOKS
        .iter()
        .filter(|hook| !without.contains(&hook.attach.target()))
        .map(|hook| hook.attach.btf_name())
        .collect();
    write(
        &host.proc.join("sys/kernel/osrelease"),
        format!("{release}\n").as_bytes(),
    );
    write(
        &host.proc.join("self/status"),
        format!("CapEff:\t{capabilities:016x}\n").as_bytes(),
    );
    write(
        &host.proc.join("sys/net/netfilter/nf_conntrack_count"),
        b"0\n",
    );
    write(
        &host.sys.join("fs/cgroup/cgroup.controllers"),
        b"memory pids\n",
    );
    if !without.contains(&"btf") {
        write(&host.btf(), &types(&names));
    }
    fs::create_dir_all(host.proc.join("self/ns")).expect("made");
    std::os::unix::fs::symlink("pid:[4026531836]", host.proc.join("self/ns/pid")).expect("linked");
    host
}

const EVERYTHING: u64 = 1 << 12 | 1 << 19 | 1 << 21 | 1 << 38 | 1 << 39;

#[test]
fn a_kernel_with_everything_is_all_green() {
    let root = tempfile::tempdir().expect("a folder");
    let facts = facts(
        &host(root.path(), "6.1.0-56-cloud-amd64", EVERYTHING, &[]),
        &TCP_HOOKS,
    );
    let fits = fit(&facts, &TCP_HOOKS).expect("it fits");
    assert!(fits.iter().all(|fit| fit.present));
    assert_eq!(facts.cgroups, CgroupLayout::Unified);
    let rows = checks(&facts, &TCP_HOOKS, &[]);
    for row in &rows {
        assert_eq!(row.status, Status::Ok, "{row:?}");
        assert!(
            !row.fatal && row.lost.is_empty() && row.advice.is_empty(),
            "{row:?}"
        );
    }
}

#[test]
fn an_old_kernel_or_one_without_types_is_refused_with_a_fatal_row() {
    for (release, without, id) in [
        ("5.10.0-28-amd64", vec![], "kernel.version"),
        ("6.1.0", vec!["btf"], "kernel.btf"),
        (
            "6.1.0",
            vec!["inet_sock_set_state"],
            "hook.inet_sock_set_state",
        ),
    ] {
        let root = tempfile::tempdir().expect("a folder");
        let facts = facts(
            &host(root.path(), release, EVERYTHING, &without),
            &TCP_HOOKS,
        );
        let refusal = fit(&facts, &TCP_HOOKS).expect_err("it does not fit");
        let rows = checks(&facts, &TCP_HOOKS, &[]);
        let fatal: Vec<_> = rows
            .iter()
            .filter(|row| row.fatal)
            .map(|row| row.id.as_str())
            .collect();
        assert!(fatal.contains(&id), "{fatal:?} for {release}");
        match id {
            "kernel.version" => assert!(matches!(refusal, Refusal::Kernel { .. })),
            "kernel.btf" => assert!(matches!(refusal, Refusal::Btf { .. })),
            _ => assert!(matches!(refusal, Refusal::Hook { .. })),
        }
    }
}

#[test]
fn an_optional_hook_that_is_missing_costs_only_itself() {
    let root = tempfile::tempdir().expect("a folder");
    let host = host(
        root.path(),
        "5.15.0",
        EVERYTHING,
        &["cgroup_mkdir", "task_file"],
    );
    let facts = facts(&host, &TCP_HOOKS);
    let fits = fit(&facts, &TCP_HOOKS).expect("it fits");
    let absent: Vec<_> = fits
        .iter()
        .filter(|fit| !fit.present)
        .map(|fit| fit.hook.program)
        .collect();
    assert_eq!(absent, ["adopt", "cgroup_made"]);
    let rows = checks(&facts, &TCP_HOOKS, &[]);
    let missing: Vec<_> = rows.iter().filter(|row| row.status != Status::Ok).collect();
    assert_eq!(missing.len(), 2);
    assert!(
        missing
            .iter()
            .all(|row| !row.fatal && !row.lost.is_empty() && !row.advice.is_empty())
    );
}

#[test]
fn each_capability_taken_away_is_a_row_of_its_own() {
    let split = EVERYTHING & !(1 << 21);
    for (bit, id, fatal) in [
        (12, "capability.net_admin", false),
        (19, "capability.sys_ptrace", false),
        (38, "capability.perfmon", true),
        (39, "capability.bpf", true),
    ] {
        let root = tempfile::tempdir().expect("a folder");
        let host = host(root.path(), "6.1.0", split & !(1 << bit), &[]);
        let rows = checks(&facts(&host, &TCP_HOOKS), &TCP_HOOKS, &[]);
        let row = rows
            .iter()
            .find(|row| row.id == id)
            .expect("the row is there");
        assert_ne!(row.status, Status::Ok, "{id}");
        assert_eq!(row.fatal, fatal, "{id}");
        // Without CAP_BPF or CAP_PERFMON no hook loads, and each says so.
        let hooks = rows.iter().filter(|row| row.id.starts_with("hook."));
        assert!(
            hooks
                .clone()
                .all(|row| (row.status == Status::Missing) == fatal),
            "{id}"
        );
    }
}

#[test]
fn a_host_that_cannot_be_read_is_rows_and_no_panic() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let host = Host {
        proc: nowhere.path().join("p"),
        sys: nowhere.path().join("s"),
    };
    let facts = facts(&host, &TCP_HOOKS);
    assert_eq!(facts.cgroups, CgroupLayout::Absent);
    assert!(fit(&facts, &TCP_HOOKS).is_err());
    let rows = checks(&facts, &TCP_HOOKS, &[]);
    assert!(rows.iter().all(|row| row.status != Status::Ok));
    let json = serde_json::to_value(&rows).expect("it is data");
    assert_eq!(json[0]["id"], "kernel.version");
    assert_eq!(json[0]["status"], "degraded");
}
