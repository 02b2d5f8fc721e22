//! What an operator installs: the chart, its rendering for kustomize, the dashboard.
//!
//! No cluster is needed here. What needs helm builds it once (`deploy/helm/program`), or is left out by name
//! where there is no Go to build it with; what needs a kernel is in the lab, and left out like everything there.

mod chart;
mod dashboards;
mod kustomize;
mod pod;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use tapetum_lab::skip;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = root().join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Where helm is; nothing, and said, if it is not to be had.
fn helm(test: &str) -> Option<PathBuf> {
    program(test, "helm")
}

/// A program that `deploy/helm/program` builds.
fn program(test: &str, name: &str) -> Option<PathBuf> {
    let script = root().join("deploy/helm/program");
    let said = Command::new(script).arg(name).output();
    let found = said.map_err(anyhow::Error::from).and_then(|output| {
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
    });
    found
        .inspect_err(|why| {
            let why = why.to_string().trim().replace('\n', "; ");
            skip(test, &format!("needs {name}: {why}"));
        })
        .ok()
}

/// The chart as it renders with these `--set` values, or what helm says against them.
fn template(helm: &Path, sets: &[&str]) -> Result<Result<String, String>> {
    let mut command = Command::new(helm);
    // The namespace is one that YAML takes for `false` where it is not quoted.
    command
        .args(["template", "t", "deploy/helm/tapetum", "--namespace", "n"])
        .args(["--kube-version", "1.25.0"])
        .current_dir(root());
    for set in sets {
        command.args(["--set", set]);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output()?;
    Ok(if status.success() {
        Ok(String::from_utf8(stdout)?)
    } else {
        Err(String::from_utf8(stderr)?)
    })
}
