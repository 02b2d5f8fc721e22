//! The emulated machine: one processor, no network, no disk, two serial ports. The first is the
//! kernel's console; on the second the guest reports.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Absent;
use crate::debian::Kernel;
use crate::report::{self, Check};

const EMULATOR: &str = "qemu-system-x86_64";

/// A boot takes about ten seconds; a machine that is still running after this hangs.
const HANGS_AFTER: Duration = Duration::from_secs(240);

/// The loader line: silent, since a message in the midst of the console helps nobody, and ending
/// instead of waiting where the kernel panics.
const LINE: &str = "console=ttyS0 panic=-1 quiet mitigations=off rdinit=/init";

/// What was seen on one kernel.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The package that the kernel is from.
    pub package: String,
    /// The guest's report.
    pub checks: Vec<Check>,
}

/// Boots the kernel with this archive and waits for the machine's end. `folder` keeps what went in
/// and came out, for a person to look at.
pub fn boot(kernel: &Kernel, archive: &[u8], folder: &Path) -> Result<Boot> {
    let [image, console, lines] = ["image", "console", "report"].map(|name| folder.join(name));
    fs::write(&image, archive)?;
    let child = Command::new(EMULATOR)
        // Two processors are twice the speed and one boot in six lost.
        .args([
            "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "1024", "-nic", "none",
        ])
        .args(["-display", "none", "-no-reboot", "-monitor", "none"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&image)
        .args(["-append", LINE])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", lines.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        bail!(Absent(format!(
            "{EMULATOR} is missing: install Debian's package `qemu-system-x86`"
        )));
    };
    let ended = wait(child);
    let tail = tail(&fs::read(&console).unwrap_or_default());
    ended.with_context(|| format!("the console's end:\n{tail}"))?;
    let checks = report::read(&fs::read_to_string(&lines)?)
        .with_context(|| format!("the console's end:\n{tail}"))?;
    Ok(Boot {
        package: kernel.package.clone(),
        checks,
    })
}

fn wait(mut child: Child) -> Result<()> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > HANGS_AFTER {
            child.kill()?;
            child.wait()?;
            bail!("the machine still ran after {HANGS_AFTER:?}");
        }
        sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "{EMULATOR} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn tail(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
