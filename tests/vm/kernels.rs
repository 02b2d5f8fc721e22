//! The probe and the agent on Debian's kernels, each booted once for all tests of this file.
//!
//! What such a kernel lacks must be a row of `doctor` and nothing worse.

mod agent;
mod judge;
mod probe;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use tapetum_lab::{skip, tapetum_program};
use tapetum_vm::machine::Boot;
use tapetum_vm::{Absent, debian, image, machine};

use judge::check;

/// Bookworm's kernel, and the one that bookworm offers beside it.
const SERIES: [&str; 2] = ["6.1", "6.12"];

#[test]
fn the_guest_runs_the_kernel_that_was_meant() {
    for boot in boots() {
        let release = check(boot, "kernel").more["release"].clone();
        let release = release.as_str().unwrap_or_default();
        let of = |series: &&str| release.starts_with(&format!("{series}."));
        assert!(SERIES.iter().any(of), "{release} is none of {SERIES:?}");
        assert!(
            boot.package.contains(release),
            "{} is not {release}",
            boot.package
        );
    }
}

/// Every kernel that this machine can boot, booted once; what it cannot is said.
fn boots() -> &'static [Boot] {
    // A boot that failed is kept too: eleven more would fail the same.
    static BOOTS: OnceLock<Result<Vec<Boot>>> = OnceLock::new();
    let boots = BOOTS.get_or_init(|| {
        let boots = SERIES.iter().map(|series| boot(series));
        boots.filter_map(Result::transpose).collect()
    });
    match boots {
        Ok(boots) => boots,
        Err(error) => panic!("{error:#}"),
    }
}

fn boot(series: &str) -> Result<Option<Boot>> {
    match try_boot(series) {
        Ok(boot) => Ok(Some(boot)),
        Err(error) => {
            let absent = error.downcast::<Absent>()?;
            skip(&format!("tests/vm on {series}"), &absent.to_string());
            Ok(None)
        }
    }
}

fn try_boot(series: &str) -> Result<Boot> {
    let kernel = debian::kernel(series)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(series);
    fs::create_dir_all(&folder)?;
    let guest = Path::new(env!("CARGO_BIN_EXE_tapetum-vm-guest"));
    let agent = tapetum_program().ok();
    let archive = image::build(&kernel, guest, agent.as_slice(), &folder)?;
    machine::boot(&kernel, &archive, &folder)
        .with_context(|| format!("on {}, see {}", kernel.package, folder.display()))
}
