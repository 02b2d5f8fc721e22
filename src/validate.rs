//! `tapetum validate`: what is wrong with a file, all of it.

use std::io;
use std::path::{Path, PathBuf};

use tapetum_config::{DEFAULT_FILE, Host, Source, load};

use crate::End;
use crate::pipeline::{Component, GraphSpec};
use crate::terminal::Terminal;

pub(crate) fn validate(
    files: &[PathBuf],
    components: &[&'static Component],
    terminal: &mut Terminal,
) -> io::Result<End> {
    let Some(spec) = read(files, components, terminal) else {
        return Ok(End::Wrong);
    };
    if let Some(sentence) = spec.budget().excess(spec.service.memory_bytes) {
        terminal.complain(&sentence);
        return Ok(End::Wrong);
    }
    let names: Vec<_> = spec.pipelines.iter().map(|one| one.name.as_str()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    terminal.write(&format!("right: pipeline{plural} {}\n", names.join(", ")))?;
    Ok(End::Well)
}

/// Reads the files as one; what is wrong with them has been said if there is no answer.
pub(crate) fn read(
    files: &[PathBuf],
    components: &[&'static Component],
    terminal: &Terminal,
) -> Option<GraphSpec> {
    let default = [PathBuf::from(DEFAULT_FILE)];
    let is_default = files.is_empty();
    let files = if is_default { &default } else { files };
    let sources = sources(files, is_default, terminal)?;
    match load(sources, components, &Host) {
        Ok(spec) => Some(spec),
        Err(report) => {
            terminal.report(|colour| report.render(colour));
            None
        }
    }
}

/// All files, or none of them and a complaint about each that cannot be read.
fn sources(files: &[PathBuf], is_default: bool, terminal: &Terminal) -> Option<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files {
        match Source::read(Path::new(file), &Host) {
            Ok(source) => sources.push(source),
            Err(error) if is_default => terminal.complain(&format!(
                "{error}; it is what is read where no file is named: name one, or make it"
            )),
            Err(error) => terminal.complain(&error.to_string()),
        }
    }
    (sources.len() == files.len()).then_some(sources)
}
