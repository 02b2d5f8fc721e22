//! How much memory the control group of this process allows: of the group and of all around it.

use std::fs;
use std::path::Path;

/// The least limit, if there is one.
pub(crate) fn limit_bytes(proc: &Path, cgroups: &Path) -> Option<u64> {
    let groups = fs::read_to_string(proc.join("self/cgroup")).ok()?;
    groups
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, group) = (parts.next()?, parts.next()?);
            match controllers {
                "" => {
                    let unified = least(&cgroups.join("unified"), group, "memory.max");
                    unified.or_else(|| least(cgroups, group, "memory.max"))
                }
                _ if controllers.split(',').any(|one| one == "memory") => {
                    least(&cgroups.join("memory"), group, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

/// The least limit on the way from a group up to the mount. What cannot be read has none: inside of
/// a container the way as the host knows it does not exist, and the mount is the container's own.
fn least(mount: &Path, group: &str, file: &str) -> Option<u64> {
    Path::new(group)
        .ancestors()
        .filter_map(|group| {
            let group = group.strip_prefix("/").unwrap_or(group);
            let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
            text.trim().parse().ok()
        })
        .min()
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
    fn none_is_none() {
        assert_eq!(host("0::/\n", &[]), None);
        assert_eq!(host("nonsense", &[]), None);
    }
}
