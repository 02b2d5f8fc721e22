//! Figures that tests print and do not assert: a busy machine is no reason to fail.

use std::io::Write as _;

/// Prints a figure beside its target, past the test harness's capture.
pub fn figure(what: &str, value: impl std::fmt::Debug, target: &str) {
    let line = format!("figure: {what}: {value:?} (target {target})\n");
    // A figure that nobody can read any more is no loss.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
