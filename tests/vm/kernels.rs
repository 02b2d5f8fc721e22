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
    for (boot, series) in boots().iter().zip(SERIES) {
        let release = check(boot, "kernel").more["release"]
            .as_str()
            .unwrap_or_default();
        assert!(
            release.starts_with(&format!("{series}.")),
            "{release} is not a {series}"
        );
        assert!(
            boot.package.contains(release),
            "{} is not {release}",
            boot.package
        );
    }
}

/// Every kernel, booted once; none where this machine cannot, which is said once.
fn boots() -> &'static [Boot] {
    static BOOTS: OnceLock<Vec<Boot>> = OnceLock::new();
    BOOTS.get_or_init(
        || match SERIES.iter().map(|series| boot(series)).collect() {
            Ok(boots) => boots,
            Err(error) => {
                let Some(absent) = error.downcast_ref::<Absent>() else {
                    panic!("{error:#}");
                };
                skip("tests/vm", &absent.to_string());
                Vec::new()
            }
        },
    )
}

fn boot(series: &str) -> Result<Boot> {
    let kernel = debian::kernel(series)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(series);
    fs::create_dir_all(&folder)?;
    let guest = Path::new(env!("CARGO_BIN_EXE_tapetum-vm-guest"));
    let agent = tapetum_program().ok();
    let archive = image::build(&kernel, guest, agent.as_slice(), &folder)?;
    machine::boot(&kernel, &archive, &folder)
        .with_context(|| format!("on {}, see {}", kernel.package, folder.display()))
}
