//! Logs: to standard error, text for a person, JSON for a program.

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The variable that chooses what is logged.
const VARIABLE: &str = "TAPETUM_LOG";

/// Starts logging for the rest of the process.
pub(crate) fn start() -> anyhow::Result<()> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let wanted = if wanted.is_empty() { "info" } else { &wanted };
    let filter = EnvFilter::try_new(wanted)
        .with_context(|| format!("{VARIABLE} is not understood: write for example info"))?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // A standard error that nobody reads is no reason to stop.
        .log_internal_errors(false);
    if io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.json().flatten_event(true).init();
    }
    Ok(())
}
