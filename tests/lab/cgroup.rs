//! Cgroups of the lab's processes: real v2 paths, because a cgroup's path is what a container is known by.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Where cgroup v2 is mounted: alone, or beside v1 hierarchies.
pub(crate) fn mount() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .map(Path::new)
        .find(|path| path.join("cgroup.controllers").is_file())
        .map(Path::to_path_buf)
}

/// Makes a cgroup at `path`, with what leads to it.
pub(crate) fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the cgroup {}", path.display()))
}

/// Makes a cgroup whose processes may use so many bytes, in whichever hierarchy counts memory here.
/// Its name is what the janitor looks for.
pub(crate) fn create_with_memory(lab: &Path, prefix: &str, bytes: u64) -> Result<PathBuf> {
    let old = Path::new("/sys/fs/cgroup/memory");
    let (group, limit) = if old.join("memory.limit_in_bytes").is_file() {
        (
            old.join(format!("{prefix}-limited")),
            "memory.limit_in_bytes",
        )
    } else {
        for parent in [lab.parent(), Some(lab)].into_iter().flatten() {
            fs::write(parent.join("cgroup.subtree_control"), "+memory")
                .context("no hierarchy of cgroups counts memory here")?;
        }
        (lab.join("limited"), "memory.max")
    };
    create(&group)?;
    fs::write(group.join(limit), bytes.to_string())
        .with_context(|| format!("cannot limit {} to {bytes} bytes", group.display()))?;
    Ok(group)
}
