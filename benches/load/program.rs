//! The program as it is installed.

use std::fs;

use anyhow::{Context as _, Result};
use tapetum_benches::Figure;
use tapetum_lab::tapetum_program;

pub(crate) fn measure() -> Result<Figure> {
    let program = tapetum_program()?;
    let size = fs::metadata(&program)
        .with_context(|| format!("{} cannot be read", program.display()))?
        .len();
    let mb = size as f64 / 1e6;
    Ok(Figure::at_most("the stripped program", mb, "MB", 15.0, ""))
}
