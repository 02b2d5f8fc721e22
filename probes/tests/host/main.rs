//! The C headers that kernel and user space share, on the host: the arithmetic under
//! AddressSanitizer and UBSan, and every field of a row where Rust has it. Needs a C compiler, no
//! privileges. What it does not prove: that the kernel counts as the played TCP does (`tests/kernel`).

use std::fs;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

use tapetum_probes::tcp::Row;

#[test]
fn the_shared_headers_hold_under_sanitizers_and_lay_rows_out_as_rust_does() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().expect("a folder");
    let program = out.path().join("count");
    let compilers = ["clang-14", "clang", "gcc"];
    let works = |cc: &&&str| Command::new(cc).arg("--version").output().is_ok();
    let Some(compiler) = compilers.iter().find(works) else {
        tapetum_testkit::skip_this("probes", "needs a C compiler (Debian: clang-14)");
        return;
    };
    let compiled = Command::new(compiler)
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg("-I")
        .arg(here.join("include"))
        .arg(here.join("tests/host/count.c"))
        .arg("-o")
        .arg(&program)
        .output()
        .expect("the compiler runs");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let ran = Command::new(&program).output().expect("it runs");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let printed = String::from_utf8(ran.stdout).expect("text");
    let c: Vec<&str> = printed.lines().collect();
    let rust: Vec<String> = ROW
        .iter()
        .map(|(name, at)| format!("{name} {at}"))
        .collect();
    assert_eq!(c, rust);
}

#[test]
fn without_a_clang_the_build_says_in_one_sentence_which_package_has_it() {
    // Built scripts lie beside the folder that this crate's own one wrote into.
    let builds = Path::new(env!("OUT_DIR")).ancestors().nth(2);
    let builds = fs::read_dir(builds.expect("a folder of builds")).expect("readable");
    let script = builds
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(env!("CARGO_PKG_NAME"))
        })
        .map(|entry| entry.path().join("build-script-build"))
        .find(|script| script.is_file());
    let out = tempfile::tempdir().expect("a folder");
    let ran = Command::new(script.expect("this crate was built by its script"))
        .env_clear()
        .env("PATH", out.path())
        .env("OUT_DIR", out.path())
        .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_CFG_TARGET_ARCH", "x86_64")
        .output()
        .expect("it runs");
    let printed = String::from_utf8_lossy(&ran.stdout);
    let mut errors = printed
        .lines()
        .filter_map(|line| line.strip_prefix("cargo::error="));
    assert_eq!(ran.status.code(), Some(1), "{printed}");
    let error = errors.next().expect("an error");
    assert!(
        error.contains("clang") && error.contains("package `clang-14`"),
        "{error}"
    );
    assert_eq!((errors.next(), ran.stderr.len()), (None, 0), "one sentence");
}

/// Where Rust has the fields of a row; their sizes follow, since nothing lies between them.
#[rustfmt::skip]
const ROW: [(&str, usize); 40] = [
    ("kind", offset_of!(Row, kind)),
    ("bytes", offset_of!(Row, bytes)),
    ("sweep", offset_of!(Row, sweep)),
    ("at_ns", offset_of!(Row, at_ns)),
    ("id", offset_of!(Row, id)),
    ("netns_cookie", offset_of!(Row, netns_cookie)),
    ("born_ns", offset_of!(Row, born_ns)),
    ("established_ns", offset_of!(Row, established_ns)),
    ("cgroup_id", offset_of!(Row, cgroup_id)),
    ("cgroup_v1_id", offset_of!(Row, cgroup_v1_id)),
    ("socket_cgroup_id", offset_of!(Row, socket_cgroup_id)),
    ("bytes_sent", offset_of!(Row, bytes_sent)),
    ("bytes_received", offset_of!(Row, bytes_received)),
    ("bytes_retransmitted", offset_of!(Row, bytes_retransmitted)),
    ("packets_sent", offset_of!(Row, packets_sent)),
    ("packets_received", offset_of!(Row, packets_received)),
    ("rwnd_limited_us", offset_of!(Row, rwnd_limited_us)),
    ("sndbuf_limited_us", offset_of!(Row, sndbuf_limited_us)),
    ("local_address", offset_of!(Row, local_address)),
    ("peer_address", offset_of!(Row, peer_address)),
    ("comm", offset_of!(Row, comm)),
    ("netns_inum", offset_of!(Row, netns_inum)),
    ("pid", offset_of!(Row, pid)),
    ("isn_own", offset_of!(Row, isn_own)),
    ("isn_peer", offset_of!(Row, isn_peer)),
    ("retransmits", offset_of!(Row, retransmits)),
    ("srtt_us", offset_of!(Row, srtt_us)),
    ("rttvar_us", offset_of!(Row, rttvar_us)),
    ("min_rtt_us", offset_of!(Row, min_rtt_us)),
    ("handshake_us", offset_of!(Row, handshake_us)),
    ("flags", offset_of!(Row, flags)),
    ("reordering", offset_of!(Row, reordering)),
    ("reordering_seen", offset_of!(Row, reordering_seen)),
    ("local_port", offset_of!(Row, local_port)),
    ("peer_port", offset_of!(Row, peer_port)),
    ("error", offset_of!(Row, error)),
    ("family", offset_of!(Row, family)),
    ("role", offset_of!(Row, role_code)),
    ("state", offset_of!(Row, state)),
    ("zero", offset_of!(Row, zero)),
];
