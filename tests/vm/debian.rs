//! Debian's kernels, out of their packages and into a cache outside the clone.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Absent;

/// Modules that the guest loads, each after those that it needs; the rest of a package is not kept.
pub const MODULES: [&str; 11] = [
    "veth",
    "libcrc32c",
    "nf_defrag_ipv4",
    "nf_defrag_ipv6",
    "nf_conntrack",
    "nf_nat",
    "nfnetlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nf_conntrack_netlink",
];

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The package, which names the exact version.
    pub package: String,
    /// What the machine boots.
    pub image: PathBuf,
    /// The [`MODULES`], unpacked.
    pub modules: Vec<PathBuf>,
}

/// The newest kernel of `series` (say `6.1`) that apt offers, or else the newest in the cache.
pub fn kernel(series: &str) -> Result<Kernel> {
    let cache = cache()?;
    // One at a time: a second test run waits instead of fetching the same thing.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    let have = newest(cached(&cache, series)?);
    let package = match (newest(offered(series)?), have) {
        (Some(offered), have) if have.as_ref() != Some(&offered) => {
            match (fetch(&offered, &cache), have) {
                (Ok(()), _) => offered,
                (Err(error), Some(have)) if error.is::<Absent>() => have,
                (Err(error), _) => return Err(error),
            }
        }
        (_, Some(have)) => have,
        (_, None) => bail!(Absent(format!(
            "apt offers no linux-image-{series}*-cloud-amd64 (Debian bookworm does, after `apt-get update`)"
        ))),
    };
    let folder = cache.join(&package);
    Ok(Kernel {
        image: folder.join("vmlinuz"),
        modules: modules(&folder),
        package,
    })
}

fn modules(folder: &Path) -> Vec<PathBuf> {
    MODULES
        .map(|module| folder.join(format!("{module}.ko")))
        .to_vec()
}

fn cache() -> Result<PathBuf> {
    let root = match env::var_os("TAPETUM_CACHE") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env::var_os("HOME").unwrap_or("/root".into())).join(".cache/tapetum"),
    };
    let cache = root.join("vm");
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    Ok(cache)
}

fn offered(series: &str) -> Result<Vec<String>> {
    let pattern = format!(
        r"^linux-image-{}\.[^ ]*-cloud-amd64$",
        series.replace('.', r"\.")
    );
    let search = ["search", "--names-only", &pattern];
    let Ok(output) = Command::new("apt-cache").args(search).output() else {
        return Ok(Vec::new());
    };
    let names = String::from_utf8(output.stdout)?;
    Ok(names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

fn cached(cache: &Path, series: &str) -> Result<Vec<String>> {
    let head = format!("linux-image-{series}.");
    let names = fs::read_dir(cache)?.map(|entry| Ok(entry?.file_name().into_string()));
    let names = names.collect::<Result<Vec<_>>>()?.into_iter().flatten();
    // What was kept when fewer modules were wanted is fetched again.
    let whole = |name: &String| {
        modules(&cache.join(name))
            .iter()
            .all(|module| module.is_file())
    };
    Ok(names
        .filter(|name| name.starts_with(&head) && whole(name))
        .collect())
}

/// The package whose name's numbers are the highest.
fn newest(packages: Vec<String>) -> Option<String> {
    let numbers = |name: &String| -> Vec<u64> {
        name.split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .collect()
    };
    packages.into_iter().max_by_key(numbers)
}

fn fetch(package: &str, cache: &Path) -> Result<()> {
    let work = cache.join("fetching");
    let kept = work.join(package);
    // What an interrupted run left.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&kept)?;
    let output = Command::new("apt-get")
        .args(["download", package])
        .current_dir(&work)
        .output();
    let Ok(output) = output else {
        bail!(Absent(
            "apt-get is missing, and with it Debian's kernels".to_owned()
        ));
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace('\n', "; ");
        bail!(Absent(format!("{package} cannot be downloaded: {said}")));
    }
    let unpack =
        format!("dpkg-deb -x {package}_*.deb tree && mv tree/boot/vmlinuz-* {package}/vmlinuz");
    shell(&unpack, &work)?;
    for module in MODULES {
        // Later kernels come with compressed modules.
        let take = format!(
            "found=$(find tree -name {module}.ko -o -name {module}.ko.xz) && test -n \"$found\" && \
             case $found in *.xz) xz -dc $found ;; *) cat $found ;; esac >{package}/{module}.ko"
        );
        shell(&take, &work)?;
    }
    let folder = cache.join(package);
    // A folder that is not whole.
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&kept, folder)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn shell(script: &str, folder: &Path) -> Result<()> {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()?;
    if !output.status.success() {
        bail!(
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_found_by_number_not_by_letter() {
        let names = ["6.1.0-9", "6.1.0-56", "6.1.0-50"];
        let names = names.map(|version| format!("linux-image-{version}-cloud-amd64"));
        let found = newest(names.to_vec()).expect("there are three");
        assert_eq!(found, "linux-image-6.1.0-56-cloud-amd64");
        assert_eq!(newest(Vec::new()), None);
    }
}
