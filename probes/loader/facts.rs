//! What this kernel is and what we may do on it, read from files, so that a test can write them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::Host;
use super::hooks::Hook;

/// A kernel's version, as far as it decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KernelVersion {
    /// The 6 of 6.1.
    pub major: u16,
    /// The 1 of 6.1.
    pub minor: u16,
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A capability of this process that decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// `CAP_NET_ADMIN`
    NetAdmin,
    /// `CAP_SYS_PTRACE`
    SysPtrace,
    /// `CAP_SYS_ADMIN`
    SysAdmin,
    /// `CAP_PERFMON`
    Perfmon,
    /// `CAP_BPF`
    Bpf,
}

/// All of them, with their bit numbers.
const CAPABILITIES: [(Capability, u32); 5] = [
    (Capability::NetAdmin, 12),
    (Capability::SysPtrace, 19),
    (Capability::SysAdmin, 21),
    (Capability::Perfmon, 38),
    (Capability::Bpf, 39),
];

/// How control groups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CgroupLayout {
    /// Only version 2.
    Unified,
    /// Version 1, with version 2 beside it for naming.
    Hybrid,
    /// Only version 1.
    Legacy,
    /// Nothing under `/sys/fs/cgroup`.
    Absent,
}

/// Everything that is decided from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the kernel calls itself.
    pub release: String,
    /// The version in it, where there is one.
    pub kernel: Option<KernelVersion>,
    /// Where its type information should be.
    pub btf_path: PathBuf,
    /// Whether it is there.
    pub btf: bool,
    /// The hooks' targets that the kernel has.
    pub targets: BTreeSet<&'static str>,
    /// What this process may do.
    pub capabilities: BTreeSet<Capability>,
    /// Whether this process is in the host's PID namespace; [`None`]: could not be read.
    pub host_pids: Option<bool>,
    /// Control groups.
    pub cgroups: CgroupLayout,
    /// Whether connection tracking runs in this network namespace.
    pub conntrack: bool,
}

impl Facts {
    /// Whether the kernel would let this process do what needs `capability`:
    /// `CAP_SYS_ADMIN` stands in for the two that were split from it.
    pub fn may(&self, capability: Capability) -> bool {
        let split = matches!(capability, Capability::Bpf | Capability::Perfmon);
        self.capabilities.contains(&capability)
            || (split && self.capabilities.contains(&Capability::SysAdmin))
    }
}

/// Inode number of the initial PID namespace, fixed in the kernel's source.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Gathers them. Nothing fails: what cannot be read is a fact too.
pub fn facts(host: &Host, hooks: &[Hook]) -> Facts {
    let release = fs::read_to_string(host.proc.join("sys/kernel/osrelease")).unwrap_or_default();
    let release = release.trim().to_string();
    let types = fs::read(host.btf()).unwrap_or_default();
    let status = fs::read_to_string(host.proc.join("self/status")).unwrap_or_default();
    let pids = fs::read_link(host.proc.join("self/ns/pid")).ok();
    Facts {
        kernel: kernel_version(&release),
        release,
        btf_path: host.btf(),
        btf: !types.is_empty(),
        targets: targets(&types, hooks),
        capabilities: capabilities(&status),
        host_pids: pids.map(|link| link.as_os_str() == INITIAL_PID_NAMESPACE),
        cgroups: cgroups(host),
        conntrack: host
            .proc
            .join("sys/net/netfilter/nf_conntrack_count")
            .exists(),
    }
}

fn kernel_version(release: &str) -> Option<KernelVersion> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some(KernelVersion {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
    })
}

fn capabilities(status: &str) -> BTreeSet<Capability> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let held = CAPABILITIES
        .iter()
        .filter(|(_, bit)| effective >> bit & 1 == 1);
    held.map(|(capability, _)| *capability).collect()
}

fn cgroups(host: &Host) -> CgroupLayout {
    let root = host.sys.join("fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        CgroupLayout::Unified
    } else if root.join("unified/cgroup.controllers").exists() {
        CgroupLayout::Hybrid
    } else if root.is_dir() && fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some())
    {
        CgroupLayout::Legacy
    } else {
        CgroupLayout::Absent
    }
}

/// Which targets are named in the kernel's type information. Their names stand in its string
/// table, each between two zero bytes; nothing more of the format is needed to know that much.
fn targets(types: &[u8], hooks: &[Hook]) -> BTreeSet<&'static str> {
    let names: Vec<(String, &'static str)> = hooks
        .iter()
        .map(|hook| (hook.attach.btf_name(), hook.attach.target()))
        .collect();
    // Splitting five megabytes at every zero byte would be slow in a debug build; the string
    // table is the file's tail and begins where its header says.
    let strings = strings(types).unwrap_or_default();
    strings
        .split(|&byte| byte == 0)
        .filter_map(|word| names.iter().find(|(name, _)| name.as_bytes() == word))
        .map(|(_, target)| *target)
        .collect()
}

fn strings(types: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_ne_bytes(*types.get(at..)?.first_chunk()?) as usize);
    let start = word(4)?.checked_add(word(16)?)?;
    types.get(start..start.checked_add(word(20)?)?)
}
