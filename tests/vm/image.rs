//! The guest's file system: busybox, the programs under test with the libraries that they load, and
//! the kernel's modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Absent;
use crate::archive::Archive;
use crate::debian::Kernel;

/// Where Debian's statically linked busybox may be.
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// Where the program that translates addresses may be.
const NFT: [&str; 2] = ["/usr/sbin/nft", "/sbin/nft"];

/// The archive of a guest whose first process is `init`, with `programs` in `/bin` under their own
/// names. `work` is a folder for what is made on the way.
pub fn build(kernel: &Kernel, init: &Path, programs: &[PathBuf], work: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp", "etc", "run", "sys/fs/cgroup"] {
        archive.directory(folder);
    }
    let busybox = found(&BUSYBOX, "busybox-static")?;
    let nft = found(&NFT, "nftables")?;
    if !libraries(busybox)?.is_empty() {
        let why = "busybox needs libraries: install Debian's package `busybox-static`";
        bail!(Absent(why.to_owned()));
    }
    archive.file("bin/busybox", &read(busybox)?);
    for module in &kernel.modules {
        archive.file(&format!("lib/modules/{}", name(module)?), &read(module)?);
    }
    archive.file("init", &stripped(init, work)?);
    let mut needed = libraries(init)?;
    for program in programs.iter().map(PathBuf::as_path).chain([nft]) {
        archive.file(
            &format!("bin/{}", name(program)?),
            &stripped(program, work)?,
        );
        needed.extend(libraries(program)?);
    }
    needed.sort();
    needed.dedup();
    for library in needed {
        archive.file(&library.to_string_lossy(), &read(&library)?);
    }
    Ok(archive.finish())
}

fn found<'a>(places: &[&'a str], package: &str) -> Result<&'a Path> {
    let path = places
        .iter()
        .map(|place| Path::new(*place))
        .find(|path| path.is_file());
    let why = || {
        format!(
            "{} is missing: install Debian's package `{package}`",
            places[0]
        )
    };
    Ok(path.ok_or_else(|| Absent(why()))?)
}

/// What a program loads at its start; nothing for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("ldd cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `name => /path (address)`, or `/path (address)` for the loader itself.
    let path = |line: &str| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    };
    Ok(text.lines().filter_map(path).collect())
}

/// Without what only a debugger reads: the archive is unpacked by an emulated processor.
fn stripped(program: &Path, work: &Path) -> Result<Vec<u8>> {
    let into = work.join("stripped");
    let output = Command::new("strip")
        .arg("-o")
        .arg(&into)
        .arg(program)
        .output();
    match output {
        Ok(output) if output.status.success() => read(&into),
        _ => read(program),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .context("a program needs a plain name")
}
