//! The least privileges: uid 65532 with CAP_BPF and CAP_PERFMON, no_new_privs, and no more.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tapetum_probes::loader::{Host, StatsOn, facts};
use tapetum_probes::tcp::{Options, Probe};
use tapetum_testkit::skip_this;

use super::watch::privileged;

/// Set in the copy of this test that runs without root.
const INSIDE: &str = "TAPETUM_TEST_UNPRIVILEGED";

fn inside() {
    let mut probe = Probe::start(&Options::default()).expect("starts without root");
    assert!(probe.missing().is_empty(), "{:?}", probe.missing());
    probe.adopt().expect("adopts without root");
    probe.drain(&mut |_| {});
    assert!(probe.sweep().expect("sweeps without root").whole());
    assert!(
        StatsOn::new().is_err(),
        "there are more privileges than there should be"
    );
    // SAFETY: asks for a number.
    assert_eq!(unsafe { libc::geteuid() }, 65_532);
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let kib = |name: &str| -> u64 {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a line");
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number")
    };
    assert!(
        kib("RssAnon:") < 16 * 1_024,
        "RssAnon is {} KiB",
        kib("RssAnon:")
    );
}

#[test]
fn two_capabilities_are_enough_and_loading_leaves_no_memory_behind() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if !privileged() {
        skip_this(
            "probes",
            "needs root, to give up everything but two capabilities",
        );
        return;
    }
    assert!(facts(&Host::default(), &[]).btf);
    // A copy where that user may run it: the build folder may not be his to enter.
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    let copy = folder.path().join("kernel-test");
    fs::copy(std::env::current_exe().expect("a program"), &copy).expect("copied");
    let status = Command::new("setpriv")
        .args([
            "--reuid=65532",
            "--regid=65532",
            "--clear-groups",
            "--no-new-privs",
        ])
        .args([
            "--inh-caps=-all,+bpf,+perfmon",
            "--ambient-caps=-all,+bpf,+perfmon",
        ])
        .arg("--bounding-set=-all,+bpf,+perfmon")
        .arg(&copy)
        .args(["--exact", "--nocapture"])
        .arg("privileges::two_capabilities_are_enough_and_loading_leaves_no_memory_behind")
        .env(INSIDE, "1")
        .status()
        .expect("setpriv runs");
    assert!(status.success());
}
