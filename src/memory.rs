//! How much memory the control group of this process allows, of the group and of all around it, and how much
//! of it is used.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group that limits this process.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    limit_bytes: u64,
    folder: PathBuf,
    files: &'static Files,
}

/// What its files are called.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Files {
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: pages of files that the kernel takes back before anybody is short of memory.
    inactive: &'static str,
}

static UNIFIED: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    inactive: "inactive_file",
};
static FIRST: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

/// The least limit, if there is one.
pub(crate) fn limit_bytes(proc: &Path, cgroups: &Path) -> Option<u64> {
    group(proc, cgroups).map(|group| group.limit_bytes)
}

/// What counts as used of a budget: the greater of the process' own share of it, and of the working set's of
/// its control group of the group's limit.
pub(crate) fn used_bytes(proc: &Path, cgroups: &Path, budget_bytes: u64) -> Option<u64> {
    let own = resident_anonymous(&proc.join("self/status"));
    let working = group(proc, cgroups).and_then(|group| {
        let share = u128::from(group.working_set()?) * u128::from(budget_bytes);
        u64::try_from(share / u128::from(group.limit_bytes.max(1))).ok()
    });
    own.max(working)
}

fn group(proc: &Path, cgroups: &Path) -> Option<Group> {
    let groups = fs::read_to_string(proc.join("self/cgroup")).ok()?;
    groups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, group) = (parts.next()?, parts.next()?);
            match controllers {
                "" => {
                    let unified = least(&cgroups.join("unified"), group, &UNIFIED);
                    unified.or_else(|| least(cgroups, group, &UNIFIED))
                }
                _ if controllers.split(',').any(|one| one == "memory") => {
                    least(&cgroups.join("memory"), group, &FIRST)
                }
                _ => None,
            }
        })
        .min()
}

/// The least limit on the way from a group up to the mount. What cannot be read has none: inside of
/// a container the way as the host knows it does not exist, and the mount is the container's own.
fn least(mount: &Path, group: &str, files: &'static Files) -> Option<Group> {
    Path::new(group)
        .ancestors()
        .filter_map(|group| {
            let group = group.strip_prefix("/").unwrap_or(group);
            let folder = mount.join(group);
            let limit_bytes = number(&folder.join(files.limit))?;
            Some(Group {
                limit_bytes,
                folder,
                files,
            })
        })
        .min()
}

impl Group {
    fn working_set(&self) -> Option<u64> {
        let used = number(&self.folder.join(self.files.used))?;
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let inactive = stat.lines().find_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            (name == self.files.inactive).then(|| bytes.parse::<u64>().ok())?
        });
        Some(used.saturating_sub(inactive.unwrap_or(0)))
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// `RssAnon` of a `/proc/<pid>/status`.
fn resident_anonymous(status: &Path) -> Option<u64> {
    let status = fs::read_to_string(status).ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(groups: &str, limits: &[(&str, &str)]) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup", groups);
        for (path, text) in limits {
            write(&format!("cgroup/{path}"), text);
        }
        limit_bytes(&folder.path().join("proc"), &folder.path().join("cgroup"))
    }

    #[test]
    fn the_least_on_the_way_counts() {
        let limits = [
            ("kubepods/pod1/c1/memory.max", "max\n"),
            ("kubepods/pod1/memory.max", "1000\n"),
            ("kubepods/memory.max", "5000\n"),
        ];
        assert_eq!(host("0::/kubepods/pod1/c1\n", &limits), Some(1000));
    }

    #[test]
    fn of_version_1_and_of_a_container() {
        let v1 = [("memory/a/memory.limit_in_bytes", "2000\n")];
        assert_eq!(host("5:cpu:/a\n4:memory:/a\n0::/\n", &v1), Some(2000));
        let container = [("memory.max", "3000\n")];
        assert_eq!(host("0::/not/seen/from/here\n", &container), Some(3000));
    }

    #[test]
    fn the_greater_share_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let used = || {
            let (proc, cgroups) = (folder.path().join("proc"), folder.path().join("cgroup"));
            used_bytes(&proc, &cgroups, 1 << 20)
        };
        write("proc/self/status", "RssAnon:\t     300 kB\n");
        assert_eq!(used(), Some(300 << 10));
        write("proc/self/cgroup", "0::/a\n");
        write("cgroup/a/memory.max", "8000\n");
        write("cgroup/a/memory.current", "7000\n");
        write("cgroup/a/memory.stat", "anon 1\ninactive_file 3000\n");
        assert_eq!(used(), Some(512 << 10));
        write("proc/self/status", "RssAnon:\t     600 kB\n");
        assert_eq!(used(), Some(600 << 10));
    }

    #[test]
    fn none_is_none() {
        assert_eq!(host("0::/\n", &[]), None);
        assert_eq!(host("nonsense", &[]), None);
    }
}
