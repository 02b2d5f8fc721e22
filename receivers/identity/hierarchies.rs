//! Where cgroups are mounted and which paths exist: v2 alone, v1 alone, or both beside each other.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Which of the two hierarchies an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hierarchy {
    /// cgroup v2.
    Unified,
    /// The memory controller's of cgroup v1.
    Memory,
}

/// The hierarchies of this host that matter.
#[derive(Debug, Default)]
pub(crate) struct Hierarchies {
    unified: Option<Mount>,
    memory: Option<Mount>,
    memory_number: u32,
}

#[derive(Debug)]
struct Mount {
    point: PathBuf,
    /// The cgroup that is mounted, `/` but in a container without the host's.
    root: String,
}

impl Hierarchies {
    /// Finds them through `<proc>/self`.
    pub(crate) fn find(proc: &Path) -> Self {
        let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        let numbers = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let memory_number = lines(&numbers)
            .find(|line| line.memory)
            .map_or(0, |line| line.number);
        let mut found = Self {
            memory_number,
            ..Self::default()
        };
        for (is_unified, mount) in mounts.lines().filter_map(mount) {
            let slot = if is_unified {
                &mut found.unified
            } else {
                &mut found.memory
            };
            // Of several mounts the one that shows most.
            if slot
                .as_ref()
                .is_none_or(|have| mount.root.len() < have.root.len())
            {
                *slot = Some(mount);
            }
        }
        found
    }

    /// Which of ours the kernel's number of a hierarchy is.
    pub(crate) fn numbered(&self, number: u32) -> Option<Hierarchy> {
        match number {
            0 => Some(Hierarchy::Unified),
            n if n == self.memory_number => Some(Hierarchy::Memory),
            _ => None,
        }
    }

    /// Tells every cgroup that exists, with its id, until `most` were told.
    pub(crate) fn walk(&self, most: usize, mut tell: impl FnMut(Hierarchy, u64, String)) {
        let mut left = most;
        for (hierarchy, mount) in [
            (Hierarchy::Unified, &self.unified),
            (Hierarchy::Memory, &self.memory),
        ] {
            let Some(mount) = mount else { continue };
            let mut todo = vec![(
                mount.point.clone(),
                mount.root.trim_end_matches('/').to_owned(),
            )];
            while let Some((folder, path)) = todo.pop() {
                let Some(rest) = left.checked_sub(1) else {
                    return;
                };
                left = rest;
                let Ok(entries) = fs::read_dir(&folder) else {
                    continue;
                };
                if let Ok(metadata) = fs::metadata(&folder) {
                    let shown = if path.is_empty() {
                        "/".to_owned()
                    } else {
                        path.clone()
                    };
                    tell(hierarchy, metadata.ino(), shown);
                }
                let folders = entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                for entry in folders {
                    let name = entry.file_name();
                    todo.push((entry.path(), format!("{path}/{}", name.to_string_lossy())));
                }
            }
        }
    }

    /// The folder of a cgroup, as far as it can be seen from here.
    pub(crate) fn folder(&self, hierarchy: Hierarchy, path: &str) -> Option<PathBuf> {
        let mount = match hierarchy {
            Hierarchy::Unified => self.unified.as_ref()?,
            Hierarchy::Memory => self.memory.as_ref()?,
        };
        let below = path.strip_prefix(mount.root.trim_end_matches('/'))?;
        Some(mount.point.join(below.trim_start_matches('/')))
    }
}

/// Path of a process in a hierarchy, out of `/proc/PID/cgroup`.
pub(crate) fn path_in(hierarchy: Hierarchy, cgroup_file: &str) -> Option<&str> {
    lines(cgroup_file)
        .find(|line| match hierarchy {
            Hierarchy::Unified => line.number == 0,
            Hierarchy::Memory => line.memory,
        })
        .map(|line| line.path)
}

struct Line<'a> {
    number: u32,
    memory: bool,
    path: &'a str,
}

/// `4:memory:/path`, `0::/path`.
fn lines(cgroup_file: &str) -> impl Iterator<Item = Line<'_>> {
    cgroup_file.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Line {
            number: number.parse().ok()?,
            memory: controllers.split(',').any(|name| name == "memory"),
            path,
        })
    })
}

/// `31 23 0:28 ROOT POINT rw shared:1 - cgroup2 cgroup2 rw,nsdelegate`
fn mount(line: &str) -> Option<(bool, Mount)> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut fields = right.split(' ');
    let is_unified = match fields.next()? {
        "cgroup2" => true,
        "cgroup" if fields.nth(1)?.split(',').any(|option| option == "memory") => false,
        _ => return None,
    };
    let mount = Mount {
        point: PathBuf::from(point),
        root: root.to_owned(),
    };
    Some((is_unified, mount))
}
