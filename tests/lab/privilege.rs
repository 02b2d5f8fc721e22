//! What a lab needs of the machine.

use std::{env, fs, path::Path, process::Command};

use crate::cgroup;

/// Bits of `CapEff` that building a lab and loading probes take.
const CAPABILITIES: [(&str, u32); 4] = [
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// Programs that every lab is built with.
const BASICS: [&str; 6] = ["ip", "nft", "nsenter", "unshare", "kill", "curl"];
/// Where a program comes from if its package has another name (Debian's).
const PACKAGES: [(&str, &str); 11] = [
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("nstat", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("kill", "procps"),
    ("nginx", "nginx-light"),
    ("promtool", "prometheus"),
    ("go", "golang"),
];

/// One sentence that says what this machine lacks for a lab with these extra programs, or nothing.
#[must_use]
pub fn missing(tools: &[&str]) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let lacking: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(_, bit)| held & (1 << bit) == 0)
        .map(|(name, _)| *name)
        .collect();
    if !lacking.is_empty() {
        return Some(format!(
            "needs root: this process lacks {}",
            lacking.join(", ")
        ));
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("needs a kernel with BTF: /sys/kernel/btf/vmlinux is not there".to_owned());
    }
    if cgroup::mount().is_none() {
        return Some("needs cgroup v2: none is mounted under /sys/fs/cgroup".to_owned());
    }
    for tool in BASICS.iter().chain(tools) {
        if !on_path(tool) {
            let package = PACKAGES.iter().find(|(name, _)| name == tool);
            let package = package.map_or(*tool, |(_, package)| package);
            return Some(format!("needs the program `{tool}` (package {package})"));
        }
    }
    let namespaces = Command::new("unshare").args(["--net", "true"]).output();
    if !namespaces.is_ok_and(|output| output.status.success()) {
        return Some("needs network namespaces: `unshare --net` is refused".to_owned());
    }
    None
}

/// Whether a program of this name is on the search path.
pub(crate) fn on_path(tool: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}
