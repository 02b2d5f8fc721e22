//! Pipeline files: what a person wrote becomes a checked [`GraphSpec`], or a [`Report`] of everything
//! that is wrong with it at once.
//!
//! Nothing here knows a component by name: every check is driven by the components' own tables of
//! options, and `[service]`, `[pipelines.*]`, `queue` and `retry` are such tables too ([`schema`]).
//! What the outside world must give (variables, files) is passed in as a [`World`].

mod assemble;
mod engine;
mod finding;
mod graph;
mod position;
mod report;
pub mod schema;
mod secrecy;
pub mod shipped;
mod source;
pub mod spelling;
mod substitute;
mod syntax;
mod value;
mod world;

#[cfg(test)]
mod tests;

pub use report::Report;
pub use source::Source;
pub use world::{Host, World};

use tapetum_pipeline::{Component, GraphSpec};

/// Where `tapetum run` looks if no file is named.
pub const DEFAULT_FILE: &str = "/etc/tapetum/tapetum.toml";

/// Reads several sources as one file.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(
    sources: Vec<Source>,
    components: &[&'static Component],
    world: &dyn World,
) -> Result<GraphSpec, Report> {
    let mut findings = finding::Findings::default();
    let spec = assemble::assemble(&sources, components, world, &mut findings);
    match spec {
        Some(spec) if findings.is_empty() => Ok(spec),
        _ => Err(Report::new(sources, findings, components)),
    }
}
