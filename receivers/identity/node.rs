//! Which cgroups are this node's, where several nodes share one kernel: kind, k3d, clusters in clusters.
//!
//! A node is a subtree of cgroups there: the kubelet makes `kubepods` in it, and what serves the node (the
//! kubelet itself, the container runtime) lives beside that. The agent's own pod tells which one it is.

use std::fmt;
use std::fs;
use std::path::Path;

use super::hierarchies::{Hierarchies, Hierarchy, inode};
use super::path;

/// What of this kernel is this node, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// The cgroups below one, because this agent's pod is below it.
    Below(Group),
    /// All of it, because this agent's pod lies directly in the host's cgroups.
    Whole {
        /// The cgroup that holds the node's pods.
        pods: String,
    },
    /// All of it, because this agent is in no pod.
    NoPod,
    /// All of it, because this agent sees no more of the cgroups than its own.
    Hidden,
}

/// The cgroup of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its path, `/` if no more than it can be seen.
    pub path: String,
    /// The inode of its directory.
    pub id: u64,
    /// Whether it is one of the memory hierarchy of v1.
    pub v1: bool,
}

/// Frames that the kubelet, systemd and runtimes put around `kubepods`; none of them is a node.
const FRAMES: [&str; 5] = [
    "kubelet",
    "kubelet.slice",
    "system.slice",
    "runtime.slice",
    "podruntime.slice",
];

impl Node {
    /// The node of the process `pid`, of which `<proc>/self` tells.
    #[must_use]
    pub fn of_process(proc: &Path, pid: u32) -> Self {
        Self::find(&Hierarchies::find(proc, pid))
    }

    /// The cgroup of the node, where it is not all of them.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match self {
            Self::Below(group) => Some(group),
            Self::Whole { .. } | Self::NoPod | Self::Hidden => None,
        }
    }

    pub(crate) fn find(hierarchies: &Hierarchies) -> Self {
        let both = [Hierarchy::Unified, Hierarchy::Memory];
        // A socket is in the unified hierarchy itself, in the other one only its process is.
        let found = both.into_iter().find_map(|hierarchy| {
            let own = hierarchies.own(hierarchy)?;
            Some((hierarchy, own, pods(own)?))
        });
        let Some((hierarchy, own, pods)) = found else {
            let sees = |hierarchy| {
                hierarchies.whole(hierarchy)
                    || hierarchies.own(hierarchy).is_some_and(|own| own != "/")
            };
            return if both.into_iter().any(sees) {
                Self::NoPod
            } else {
                Self::Hidden
            };
        };
        let whole = || Self::Whole {
            pods: own[..pods.end].to_owned(),
        };
        let prefix = &own[..pods.node];
        if prefix.is_empty() && hierarchies.whole(hierarchy) {
            return whole();
        }
        let Some(folder) = hierarchies.folder(hierarchy, prefix) else {
            return if prefix.is_empty() {
                whole()
            } else {
                Self::Hidden
            };
        };
        // A kubelet can be told to put its pods elsewhere, on a machine of its own.
        if !prefix.is_empty() && !is_container(prefix) && !lives_beside_pods(&folder) {
            return whole();
        }
        match inode(&folder) {
            Some(id) => Self::Below(Group {
                path: if prefix.is_empty() { "/" } else { prefix }.to_owned(),
                id,
                v1: hierarchy == Hierarchy::Memory,
            }),
            None => whole(),
        }
    }
}

/// As a sentence behind "what is reported:".
impl fmt::Display for Node {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(group) if group.path == "/" => to.write_str(
                "what lives in the cgroups that are mounted here, because they are a part of this kernel's and hold this agent's pod",
            ),
            Self::Below(group) => write!(
                to,
                "what lives below {}, because this agent's pod does",
                group.path
            ),
            Self::Whole { pods } => write!(
                to,
                "all of this kernel, because this agent's pod is in its {pods}"
            ),
            Self::NoPod => to.write_str("all of this kernel, because this agent is in no pod"),
            Self::Hidden => to.write_str(
                "all of this kernel, because this agent sees no cgroups but its own",
            ),
        }
    }
}

/// Where in a pod's path its node ends, and where the cgroup of all pods does.
struct Pods {
    node: usize,
    end: usize,
}

/// Reads the path of a container in a pod; `None` if it is in no pod. Of a cluster within a cluster the
/// inner one is meant.
fn pods(own: &str) -> Option<Pods> {
    let parts: Vec<&str> = own.split('/').skip(1).collect();
    let pod = parts
        .iter()
        .rposition(|part| path::owner(part).pod_uid.is_some())?;
    let is_pods = |part: &&str| {
        matches!(
            *part,
            "kubepods" | "besteffort" | "burstable" | "guaranteed"
        ) || (part.contains("kubepods") && part.ends_with(".slice"))
    };
    let frames = |part: &&str| FRAMES.contains(part) || is_service(part);
    let above = |from: usize, skips: &dyn Fn(&&str) -> bool| {
        let skipped = parts[..from].iter().rev().take_while(|part| skips(part));
        from - skipped.count()
    };
    let first = above(pod, &is_pods);
    let node = above(first, &frames);
    let length = |parts: &[&str]| parts.iter().map(|part| part.len() + 1).sum();
    Some(Pods {
        node: length(&parts[..node]),
        end: length(&parts[..(first + 1).min(parts.len())]),
    })
}

/// A service of a machine; one that is a machine itself is a node.
fn is_service(part: &str) -> bool {
    part.ends_with(".service") && !part.starts_with("systemd-nspawn@")
}

/// Whether a path ends in a container or a machine: that is a node, if pods are in it.
fn is_container(path: &str) -> bool {
    let owner = path::owner(path);
    let last = path.rsplit('/').next().unwrap_or_default();
    owner.name.is_some()
        || owner
            .container
            .is_some_and(|id| last.contains(id) || last == "container")
}

/// Whether processes live in a node's cgroups beside its pods: the kubelet and the runtime do.
fn lives_beside_pods(node: &Path) -> bool {
    const LOOKED_AT_MOST: usize = 1_024;
    let mut todo = vec![node.to_owned()];
    for _ in 0..LOOKED_AT_MOST {
        let Some(folder) = todo.pop() else {
            return false;
        };
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        if !processes.trim().is_empty() {
            return true;
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| {
            let name = entry.file_name();
            entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !name.to_string_lossy().contains("kubepods")
        });
        todo.extend(below.map(|entry| entry.path()));
    }
    false
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
