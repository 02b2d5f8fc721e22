//! Network namespaces and the three programs that furnish them: `ip`, `nft`, and a shell for sysctls.
//!
//! Commands enter by `nsenter --net`, never `ip netns exec`: that one mounts a private /sys, in which
//! cgroups, tracefs and bpffs are gone.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// A namespace by its name under /run/netns. Its end is the janitor's business.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it; fails if one of this name exists, which is how labs claim their numbers.
    pub(crate) fn create(name: String) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", &name]), "")?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Runs `ip` commands, one a line.
    pub(crate) fn ip(&self, lines: &str) -> Result<()> {
        run(
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]),
            lines,
        )
        .map(drop)
    }

    /// Runs an nftables script; gives back what it prints.
    pub(crate) fn nft(&self, script: &str) -> Result<String> {
        run(self.command("nft").args(["-f", "-"]), script)
    }

    /// Sets sysctls of this namespace: `net/ipv4/ip_forward=1`.
    pub(crate) fn sysctl(&self, settings: &[&str]) -> Result<()> {
        let script = r#"for setting in "$@"; do echo "${setting#*=}" >"/proc/sys/${setting%%=*}" || exit 1; done"#;
        run(
            self.command("sh").args(["-c", script, "sh"]).args(settings),
            "",
        )
        .map(drop)
    }

    /// A command that will run in here.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }
}

/// Runs a command to its end, `input` on its standard input, and gives back its standard output.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ended early says why on standard error: that is the message to show.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}{input}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
