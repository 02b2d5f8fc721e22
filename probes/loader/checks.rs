//! What `tapetum doctor` shows: one row for each thing that this kernel and these privileges give
//! or do not, what is lost without it, and what to do.

use serde::Serialize;

use super::facts::{Capability, CgroupLayout, Facts};
use super::fit::OLDEST;
use super::hooks::{Attach, Hook, Need};
use super::object::Missing;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, with less.
    Degraded,
    /// It does not work.
    Missing,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable, for programs: `kernel.version`, `hook.task_file`, `capability.bpf` …
    pub id: String,
    /// For people.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// Whether nothing is observed at all while this is missing.
    pub fatal: bool,
    /// What was found.
    pub found: String,
    /// What is lost as it stands; empty if nothing.
    pub lost: String,
    /// What to do about it; empty if nothing.
    pub advice: String,
}

/// The rows, always the same ones in the same order. `refused` is what the kernel said of programs
/// that were tried ([`Object::missing`](super::Object::missing)); empty if none was.
pub fn checks(facts: &Facts, hooks: &[Hook], refused: &[Missing]) -> Vec<Check> {
    let mut rows = vec![kernel(facts), btf(facts)];
    rows.extend(hooks.iter().map(|hook| self::hook(facts, hook, refused)));
    rows.extend([
        capability(
            facts,
            Capability::Bpf,
            true,
            "nothing can be loaded into the kernel",
        ),
        capability(
            facts,
            Capability::Perfmon,
            true,
            "programs may not read kernel memory",
        ),
        capability(
            facts,
            Capability::NetAdmin,
            false,
            "the backend behind a virtual IP is not read from connection tracking",
        ),
        capability(
            facts,
            Capability::SysPtrace,
            false,
            "other users' processes are named by their main thread only",
        ),
        capability(
            facts,
            Capability::SysAdmin,
            false,
            "run counts and times of the programs are not measured",
        ),
        host_pids(facts),
        cgroups(facts),
        conntrack(facts),
    ]);
    rows
}

fn row(id: &str, name: &str, found: impl Into<String>) -> Check {
    Check {
        id: id.to_string(),
        name: name.to_string(),
        status: Status::Ok,
        fatal: false,
        found: found.into(),
        lost: String::new(),
        advice: String::new(),
    }
}

impl Check {
    fn but(self, status: Status, lost: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            status,
            lost: lost.into(),
            advice: advice.into(),
            ..self
        }
    }

    fn fatal(self) -> Check {
        Check {
            fatal: true,
            ..self
        }
    }
}

fn kernel(facts: &Facts) -> Check {
    let found = row("kernel.version", "kernel version", facts.release.as_str());
    let advice = format!("run linux {OLDEST} or newer");
    match facts.kernel {
        Some(version) if version >= OLDEST => found,
        Some(_) => found
            .but(Status::Missing, "nothing is observed", advice)
            .fatal(),
        None => found.but(
            Status::Degraded,
            "it is not known whether it is new enough",
            advice,
        ),
    }
}

fn btf(facts: &Facts) -> Check {
    let path = facts.btf_path.display();
    if facts.btf {
        return row("kernel.btf", "kernel type information", path.to_string());
    }
    row(
        "kernel.btf",
        "kernel type information",
        format!("none at {path}"),
    )
    .but(
        Status::Missing,
        "nothing is observed",
        "run a kernel built with CONFIG_DEBUG_INFO_BTF, and let the process read it",
    )
    .fatal()
}

fn hook(facts: &Facts, hook: &Hook, refused: &[Missing]) -> Check {
    let target = hook.attach.target();
    let kind = match hook.attach {
        Attach::Tracepoint(_) => "tracepoint",
        Attach::Iterator(_) => "iterator",
    };
    let found = row(
        &format!("hook.{target}"),
        &format!("{kind} {target}"),
        "present",
    );
    let without = |found: String, advice: &str| {
        let lost = Check {
            found,
            ..row(&format!("hook.{target}"), &format!("{kind} {target}"), "")
        }
        .but(Status::Missing, hook.lost, advice);
        if hook.need == Need::Required {
            lost.fatal()
        } else {
            lost
        }
    };
    if !facts.targets.contains(target) {
        return without("not in this kernel".to_string(), "run a newer kernel");
    }
    if let Some(missing) = refused.iter().find(|missing| missing.hook == *hook) {
        return without(
            missing.why.clone(),
            "look for what forbids bpf(2): a seccomp profile, SELinux, kernel lockdown",
        );
    }
    let blocked = [
        (Capability::Bpf, "CAP_BPF"),
        (Capability::Perfmon, "CAP_PERFMON"),
    ]
    .into_iter()
    .find(|(capability, _)| !facts.may(*capability));
    match blocked {
        Some((_, name)) => without(
            format!("present, but {name} is missing"),
            &format!("give the process {name}"),
        ),
        None => found,
    }
}

fn capability(facts: &Facts, capability: Capability, needed: bool, lost: &str) -> Check {
    let (id, name) = match capability {
        Capability::Bpf => ("capability.bpf", "CAP_BPF"),
        Capability::Perfmon => ("capability.perfmon", "CAP_PERFMON"),
        Capability::NetAdmin => ("capability.net_admin", "CAP_NET_ADMIN"),
        Capability::SysPtrace => ("capability.sys_ptrace", "CAP_SYS_PTRACE"),
        Capability::SysAdmin => ("capability.sys_admin", "CAP_SYS_ADMIN"),
    };
    if facts.may(capability) {
        return row(id, name, "held");
    }
    let status = if needed {
        Status::Missing
    } else {
        Status::Degraded
    };
    let check = row(id, name, "not held").but(status, lost, format!("give the process {name}"));
    if needed { check.fatal() } else { check }
}

fn host_pids(facts: &Facts) -> Check {
    let named = |found: &str| row("host.pids", "host's PID namespace", found);
    let advice = "set hostPID, or run outside a container";
    match facts.host_pids {
        Some(true) => named("shared"),
        Some(false) => named("a private one").but(
            Status::Degraded,
            "connections older than the agent are found only in its own container",
            advice,
        ),
        None => named("could not be read").but(
            Status::Degraded,
            "it is not known whether older connections can be found",
            advice,
        ),
    }
}

fn cgroups(facts: &Facts) -> Check {
    let named = |found: &str| row("host.cgroups", "control groups", found);
    match facts.cgroups {
        CgroupLayout::Unified => named("version 2"),
        CgroupLayout::Hybrid => named("version 1 and 2"),
        CgroupLayout::Legacy => named("version 1"),
        CgroupLayout::Absent => named("not mounted").but(
            Status::Degraded,
            "containers have no names, only processes do",
            "mount the host's /sys/fs/cgroup",
        ),
    }
}

fn conntrack(facts: &Facts) -> Check {
    let named = |found: &str| row("host.conntrack", "connection tracking", found);
    let lost = "the backend behind a virtual IP is known only where both ends are on this kernel";
    match (facts.conntrack, facts.may(Capability::NetAdmin)) {
        (true, true) => named("readable"),
        (true, false) => named("needs CAP_NET_ADMIN").but(
            Status::Degraded,
            lost,
            "give the process CAP_NET_ADMIN",
        ),
        (false, _) => named("not active in this network namespace").but(
            Status::Degraded,
            lost,
            "run in the host's network namespace, where the translation is done",
        ),
    }
}
