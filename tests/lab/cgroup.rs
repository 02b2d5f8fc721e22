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
