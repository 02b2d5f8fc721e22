//! Where the two programs of this workspace are that a lab starts.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// The `tapetum` to judge: `TAPETUM_BIN`, or the one that cargo built beside this test.
///
/// # Errors
/// If there is none, with how to build it.
pub fn tapetum_program() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TAPETUM_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("TAPETUM_BIN names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    built("tapetum").context("build it with `cargo build`, or name one in TAPETUM_BIN")
}

/// The `lab` program, whose `peer` commands run inside the pods.
///
/// # Errors
/// If there is none, with how to build it.
pub fn lab_program() -> Result<PathBuf> {
    built("lab").context("build it with `cargo build -p tapetum-lab`")
}

/// A program of this workspace: tests are in `deps/` of the folder in which cargo puts programs.
fn built(name: &str) -> Result<PathBuf> {
    let current = env::current_exe()?;
    let folders = current.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join(name))
        .find(|path: &PathBuf| Path::is_file(path))
        .with_context(|| format!("no program `{name}` beside {}", current.display()))
}
