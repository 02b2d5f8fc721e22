//! Where cgroups are mounted and which paths exist: v2 alone, v1 alone, or both beside each other.
//!
//! Paths are those of the mount. In a cgroup namespace of its own a process is shown others: its own cgroup
//! is `/` there, and what is mounted from outside of it begins at `/../..`; they are translated here.

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
    /// The cgroup that is mounted, as this process is shown it: `/` but in a container.
    root: String,
    /// This process's own cgroup, if it is below what is mounted.
    own: Option<String>,
    /// Where the cgroup namespace of this process begins; empty: not below what is mounted.
    namespace: String,
}

/// Inode of the directory of a hierarchy's very root, by the kernel's source.
const ROOT_INODE: u64 = 1;

impl Hierarchies {
    /// Finds them through `<proc>/self`, for the process that `pid` is here.
    pub(crate) fn find(proc: &Path, pid: u32) -> Self {
        let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
        let numbers = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let memory_number = lines(&numbers)
            .find(|line| line.memory)
            .map_or(0, |line| line.number);
        let mut found = Self {
            memory_number,
            ..Self::default()
        };
        for (hierarchy, mount) in mounts.lines().filter_map(mount) {
            let slot = match hierarchy {
                Hierarchy::Unified => &mut found.unified,
                Hierarchy::Memory => &mut found.memory,
            };
            // Of several mounts the one that shows most; at one place the last one hides the others.
            if slot
                .as_ref()
                .is_none_or(|have| mount.point == have.point || mount.shows() > have.shows())
            {
                *slot = Some(mount);
            }
        }
        for hierarchy in [Hierarchy::Unified, Hierarchy::Memory] {
            let raw = path_in(hierarchy, &numbers);
            if let (Some(mount), Some(raw)) = (found.mount_mut(hierarchy), raw) {
                mount.place(raw, pid);
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
            let mut todo = vec![(mount.point.clone(), mount.prefix().to_owned())];
            while let Some((folder, path)) = todo.pop() {
                let Some(rest) = left.checked_sub(1) else {
                    return;
                };
                left = rest;
                if let Some(id) = inode(&folder) {
                    let shown = if path.is_empty() { "/" } else { &path };
                    tell(hierarchy, id, shown.to_owned());
                }
                for name in folders(&folder) {
                    todo.push((folder.join(&name), format!("{path}/{name}")));
                }
            }
        }
    }

    /// The folder of a cgroup, as far as it can be seen from here.
    pub(crate) fn folder(&self, hierarchy: Hierarchy, path: &str) -> Option<PathBuf> {
        let mount = self.mount(hierarchy)?;
        let below = path.strip_prefix(mount.prefix())?;
        Some(mount.point.join(below.trim_start_matches('/')))
    }

    /// The path of a process, out of its `/proc/PID/cgroup`.
    pub(crate) fn path_of(&self, hierarchy: Hierarchy, cgroup_file: &str) -> Option<String> {
        let shown = path_in(hierarchy, cgroup_file)?;
        match self.mount(hierarchy) {
            Some(mount) if mount.is_above() && !mount.namespace.is_empty() => {
                Some(from(&mount.namespace, shown))
            }
            _ => Some(shown.to_owned()),
        }
    }

    /// This process's own path, if it can be seen from here.
    pub(crate) fn own(&self, hierarchy: Hierarchy) -> Option<&str> {
        self.mount(hierarchy)?.own.as_deref()
    }

    /// Whether all of the hierarchy can be seen from here: of a container's own only a part is mounted.
    pub(crate) fn whole(&self, hierarchy: Hierarchy) -> bool {
        self.mount(hierarchy)
            .is_some_and(|mount| inode(&mount.point) == Some(ROOT_INODE))
    }

    fn mount(&self, hierarchy: Hierarchy) -> Option<&Mount> {
        match hierarchy {
            Hierarchy::Unified => self.unified.as_ref(),
            Hierarchy::Memory => self.memory.as_ref(),
        }
    }

    fn mount_mut(&mut self, hierarchy: Hierarchy) -> Option<&mut Mount> {
        match hierarchy {
            Hierarchy::Unified => self.unified.as_mut(),
            Hierarchy::Memory => self.memory.as_mut(),
        }
    }
}

impl Mount {
    /// Mounted from outside of this process's cgroup namespace.
    fn is_above(&self) -> bool {
        self.root.starts_with("/..") && self.root.split('/').skip(1).all(|part| part == "..")
    }

    /// What stands in front of every path: nothing where names are not known, or there are none.
    fn prefix(&self) -> &str {
        if self.is_above() {
            ""
        } else {
            self.root.trim_end_matches('/')
        }
    }

    /// How much it shows, to be compared.
    fn shows(&self) -> (usize, std::cmp::Reverse<usize>) {
        let above = if self.is_above() {
            self.root.matches("..").count()
        } else {
            0
        };
        (above, std::cmp::Reverse(self.prefix().len()))
    }

    /// Finds this process, of which `/proc/self/cgroup` says `shown`.
    fn place(&mut self, shown: &str, pid: u32) {
        if !self.is_above() {
            let below = shown.strip_prefix(self.prefix());
            let is_below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            self.own = is_below.then(|| shown.to_owned());
            return;
        }
        // The steps up to here are known and their names are not: whoever holds this process, at that depth.
        let shown = shown.trim_end_matches('/');
        let depth = self.root.matches("..").count();
        self.own = find_process(&self.point, depth, shown, pid);
        if let Some(own) = &self.own {
            self.namespace = own[..own.len() - shown.len()].to_owned();
        }
    }
}

/// The cgroup, `depth` folders below `root` and `rest` below that, in which the process `pid` is.
fn find_process(root: &Path, depth: usize, rest: &str, pid: u32) -> Option<String> {
    let pid = pid.to_string();
    let mut todo = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, path, level)) = todo.pop() {
        if level < depth {
            for name in folders(&folder) {
                todo.push((folder.join(&name), format!("{path}/{name}"), level + 1));
            }
            continue;
        }
        let folder = folder.join(rest.trim_start_matches('/'));
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        if processes.lines().any(|line| line == pid) {
            return Some(path + rest);
        }
    }
    None
}

fn folders(of: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

pub(crate) fn inode(folder: &Path) -> Option<u64> {
    fs::metadata(folder).ok().map(|folder| folder.ino())
}

/// `path` seen from `base`: `/../x` from `/a/b` is `/a/x`.
fn from(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
}

/// Path of a process in a hierarchy, as its `/proc/PID/cgroup` shows it.
fn path_in(hierarchy: Hierarchy, cgroup_file: &str) -> Option<&str> {
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
fn mount(line: &str) -> Option<(Hierarchy, Mount)> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut fields = right.split(' ');
    let hierarchy = match fields.next()? {
        "cgroup2" => Hierarchy::Unified,
        "cgroup" if fields.nth(1)?.split(',').any(|option| option == "memory") => Hierarchy::Memory,
        _ => return None,
    };
    let mount = Mount {
        point: PathBuf::from(point),
        root: root.to_owned(),
        own: None,
        namespace: String::new(),
    };
    Some((hierarchy, mount))
}
