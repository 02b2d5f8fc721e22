//! The program as it is installed.

use std::fs;

use anyhow::{Context as _, Result};
use tapetum_benches::figure;
use tapetum_lab::tapetum_program;

pub(crate) fn measure() -> Result<()> {
    let program = tapetum_program()?;
    let size = fs::metadata(&program)
        .with_context(|| format!("{} cannot be read", program.display()))?
        .len();
    figure("the stripped program", size as f64 / 1e6, "MB", 15.0);
    Ok(())
}
