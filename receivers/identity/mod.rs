//! Names of the ends on this host, from what the kernel and the file system say to anybody: no
//! container runtime is asked and no other process is looked into.
//!
//! A socket's cgroup is the container (or systemd unit) of its creator, exactly. Paths are learnt as
//! the kernel makes cgroups, and by a walk at the start, so a container that lives for a moment has a
//! name. Everything here is bounded, and one owner is one shared [`Entity`].
//!
//! A container is called by the unit within it that the socket belongs to, else by its first process;
//! its id, which no person can read, is `container.id`. A systemd unit is called without `.service`.
//! Everything else is called as its process.

mod hierarchies;
mod node;
mod path;
mod recent;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapetum_model::{Attr, Entity};

use self::hierarchies::{Hierarchies, Hierarchy, inode};
pub use self::node::{Group, Node};
use self::path::Owner;
pub(crate) use self::recent::Recent;

/// What the kernel says of a socket's creator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Creator<'a> {
    /// Its cgroup in the unified hierarchy; 0: not known.
    pub cgroup_id: u64,
    /// Its cgroup in the memory hierarchy of v1; 0: not known.
    pub cgroup_v1_id: u64,
    /// Its process id; 0: not known.
    pub pid: u32,
    /// Its name; empty: not known.
    pub comm: &'a str,
}

/// The names of one host.
#[derive(Debug)]
pub struct Names {
    host: Arc<str>,
    proc: PathBuf,
    hierarchies: Hierarchies,
    paths: Recent<(Hierarchy, u64), Arc<str>>,
    owners: Recent<(u64, u64), Option<Arc<Entity>>>,
    containers: Recent<(String, Option<String>), Arc<Entity>>,
    processes: Recent<String, Arc<Entity>>,
}

/// Cgroups whose paths are remembered at least; twice as many at most.
const PATHS_ROOM: usize = 8_192;
/// Cgroups whose owners are remembered at least.
const OWNERS_ROOM: usize = 4_096;
/// Containers and processes whose entities are remembered at least, each.
const ENTITIES_ROOM: usize = 1_024;
/// Cgroups that the walk at the start looks at.
const WALK_MOST: usize = 32_768;
/// What the memories can take, for the sum that start-up prints: about 200 bytes an entry, twice.
pub(crate) const BOUND_BYTES: u64 = 2 * 200 * (PATHS_ROOM + OWNERS_ROOM + 2 * ENTITIES_ROOM) as u64;

/// First processes that say nothing of what runs in a container.
const SHELLS_AND_INITS: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "ash",
    "busybox",
    "tini",
    "dumb-init",
    "docker-init",
    "podman-init",
    "catatonit",
    "s6-svscan",
    "init",
    "systemd",
    "pause",
    "runc:[2:INIT]",
    "conmon",
];
/// How much of a container's id stands for a name where no process is known.
const SHORT_ID_LEN: usize = 12;

impl Names {
    /// The names of the host called `host`, whose `/proc` is at `proc`, where this process is `pid`. Walks
    /// the cgroups that exist.
    #[must_use]
    pub fn of_host(host: &str, proc: &Path, pid: u32) -> Self {
        let hierarchies = Hierarchies::find(proc, pid);
        let mut paths = Recent::new(PATHS_ROOM);
        hierarchies.walk(WALK_MOST, |hierarchy, id, path| {
            paths.insert((hierarchy, id), path.into());
        });
        Self {
            host: host.into(),
            proc: proc.to_owned(),
            hierarchies,
            paths,
            owners: Recent::new(OWNERS_ROOM),
            containers: Recent::new(ENTITIES_ROOM),
            processes: Recent::new(ENTITIES_ROOM),
        }
    }

    /// A cgroup was made: `hierarchy` is the kernel's number, 0 the unified one.
    pub fn learn(&mut self, hierarchy: u32, id: u64, path: &str) {
        if let Some(hierarchy) = self.hierarchies.numbered(hierarchy) {
            self.paths.insert((hierarchy, id), path.into());
        }
    }

    /// Who owns a socket. Never without a name.
    pub fn entity(&mut self, creator: &Creator<'_>) -> Arc<Entity> {
        let cgroups = (creator.cgroup_id, creator.cgroup_v1_id);
        let owner = self.owners.get(&cgroups).unwrap_or_else(|| {
            let (owner, certain) = self.owner(creator);
            if certain {
                self.owners.insert(cgroups, owner.clone());
            }
            owner
        });
        owner.unwrap_or_else(|| self.process(creator.comm))
    }

    /// The container or unit that a creator belongs to, and whether that can be remembered: what no
    /// path was found for may have one next time.
    fn owner(&mut self, creator: &Creator<'_>) -> (Option<Arc<Entity>>, bool) {
        let mut certain = true;
        for (hierarchy, id) in [
            (Hierarchy::Unified, creator.cgroup_id),
            (Hierarchy::Memory, creator.cgroup_v1_id),
        ] {
            if id == 0 {
                continue;
            }
            let Some(path) = self.path(hierarchy, id, creator.pid) else {
                certain = false;
                continue;
            };
            let owner = path::owner(&path);
            if let Some(entity) = self.owned(&owner, hierarchy, &path, creator.comm) {
                return (Some(entity), true);
            }
        }
        (None, certain)
    }

    /// Path of a cgroup: learnt, or that of the process if it still is in there.
    fn path(&mut self, hierarchy: Hierarchy, id: u64, pid: u32) -> Option<Arc<str>> {
        if let Some(path) = self.paths.get(&(hierarchy, id)) {
            return Some(path);
        }
        if pid == 0 {
            return None;
        }
        let file = fs::read_to_string(self.proc.join(format!("{pid}/cgroup"))).ok()?;
        let path: Arc<str> = self.hierarchies.path_of(hierarchy, &file)?.into();
        // The process may have moved on, or another has its number now.
        let folder = self.hierarchies.folder(hierarchy, &path)?;
        if inode(&folder).is_some_and(|found| found != id) {
            return None;
        }
        self.paths.insert((hierarchy, id), Arc::clone(&path));
        Some(path)
    }

    fn owned(
        &mut self,
        owner: &Owner<'_>,
        hierarchy: Hierarchy,
        path: &str,
        comm: &str,
    ) -> Option<Arc<Entity>> {
        let Some(id) = owner.container else {
            let name: Arc<str> = owner.name.as_deref()?.into();
            return Some(self.describe([(Attr::ServiceName, name)]));
        };
        let key = (id.to_owned(), owner.name.clone());
        if let Some(entity) = self.containers.get(&key) {
            return Some(entity);
        }
        let name = match &owner.name {
            Some(name) => name.clone(),
            None => self.container_name(id, hierarchy, path, comm),
        };
        let uid = owner.pod_uid.as_deref().unwrap_or_default();
        let entity = self.describe([
            (Attr::ServiceName, name.into()),
            (Attr::ContainerId, id.into()),
            (Attr::K8sPodUid, uid.into()),
        ]);
        self.containers.insert(key, Arc::clone(&entity));
        Some(entity)
    }

    /// What a person would call a container: its first process, if that is not a mere starter, else
    /// the process that made the socket, else the short id that tools print.
    fn container_name(&self, id: &str, hierarchy: Hierarchy, path: &str, comm: &str) -> String {
        let telling = |name: &str| !name.is_empty() && !SHELLS_AND_INITS.contains(&name);
        let first = self
            .hierarchies
            .folder(hierarchy, path)
            .and_then(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
            .and_then(|pids| pids.lines().filter_map(|pid| pid.parse::<u32>().ok()).min())
            .filter(|pid| *pid != 0)
            .and_then(|pid| fs::read_to_string(self.proc.join(format!("{pid}/comm"))).ok())
            .map(|comm| comm.trim_end().to_owned());
        first
            .filter(|name| telling(name))
            .or_else(|| (!comm.is_empty()).then(|| comm.to_owned()))
            .unwrap_or_else(|| id[..SHORT_ID_LEN].to_owned())
    }

    fn process(&mut self, comm: &str) -> Arc<Entity> {
        let name = if comm.is_empty() { "unknown" } else { comm };
        self.processes.get(name).unwrap_or_else(|| {
            let entity = self.describe([(Attr::ServiceName, name.into())]);
            self.processes.insert(name.to_owned(), Arc::clone(&entity));
            entity
        })
    }

    fn describe<const N: usize>(&self, attributes: [(Attr, Arc<str>); N]) -> Arc<Entity> {
        let host = (Attr::HostName, Arc::clone(&self.host));
        Arc::new(Entity::new(attributes.into_iter().chain([host])))
    }
}
