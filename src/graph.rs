//! `tapetum graph`: the pipelines as a person draws them; [`diagram`] has the forms for programs.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use crate::End;
use crate::cli::Format;
use crate::diagram;
use crate::pipeline::{Component, GraphSpec, PipelineSpec, Size};
use crate::terminal::Terminal;
use crate::validate;

pub(crate) fn graph(
    files: &[PathBuf],
    format: Format,
    components: &[&'static Component],
    terminal: &mut Terminal,
) -> io::Result<End> {
    let Some(spec) = validate::read(files, components, terminal) else {
        return Ok(End::Wrong);
    };
    let text = match format {
        Format::Text => text(&spec, terminal),
        Format::Mermaid => diagram::mermaid(&spec),
        Format::Dot => diagram::dot(&spec),
        Format::Json => serde_json::to_string_pretty(&diagram::json(&spec))? + "\n",
    };
    terminal.write(&text)?;
    Ok(End::Well)
}

fn text(spec: &GraphSpec, terminal: &Terminal) -> String {
    let mut text = String::new();
    for pipeline in &spec.pipelines {
        let title = terminal.bold(&format!("[pipelines.{}]", pipeline.name));
        let _ = writeln!(text, "{title}\n{}", drawing(pipeline));
    }
    text + &memory(spec)
}

/// Receivers to the left, processors in one line, exporters to the right.
fn drawing(pipeline: &PipelineSpec) -> String {
    let width = |names: &[String]| names.iter().map(|name| name.chars().count()).max();
    let left = width(&pipeline.receivers).unwrap_or(0);
    let middle: String = pipeline
        .processors
        .iter()
        .map(|name| format!(" {name} ──▶"))
        .collect();
    let middle = middle.trim_end_matches("──▶").trim_end();
    let through = if middle.is_empty() {
        String::new()
    } else {
        format!("▶{middle} ─")
    };
    let gap = " ".repeat(through.chars().count());
    let rows = pipeline.receivers.len().max(pipeline.exporters.len());
    let mut text = String::new();
    for row in 0..rows {
        let receiver = pipeline.receivers.get(row).map_or("", String::as_str);
        let pad = left - receiver.chars().count();
        let line = if receiver.is_empty() { " " } else { "─" };
        let _ = write!(
            text,
            "  {receiver} {}{}{}",
            line.repeat(pad + 1),
            joint(row, pipeline.receivers.len(), '┬', '┘', '┤'),
            if row == 0 {
                through.as_str()
            } else {
                gap.as_str()
            }
        );
        if let Some(exporter) = pipeline.exporters.get(row) {
            let fork = joint(row, pipeline.exporters.len(), '┬', '└', '├');
            let _ = write!(text, "{fork}─▶ {exporter}");
        }
        let end = text.trim_end().len();
        text.truncate(end);
        text.push('\n');
    }
    text
}

/// What a line has where several meet.
fn joint(row: usize, rows: usize, first: char, last: char, between: char) -> char {
    match row {
        _ if row >= rows => ' ',
        0 if rows == 1 => '─',
        0 => first,
        _ if row + 1 == rows => last,
        _ => between,
    }
}

fn memory(spec: &GraphSpec) -> String {
    format!(
        "memory: at most {} MiB of {}\n",
        spec.budget().total_bytes().div_ceil(1 << 20),
        Size(spec.service.memory_bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(receivers: &[&str], processors: &[&str], exporters: &[&str]) -> PipelineSpec {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        PipelineSpec {
            name: "p".to_owned(),
            receivers: owned(receivers),
            processors: owned(processors),
            exporters: owned(exporters),
        }
    }

    #[test]
    fn one_of_each() {
        let drawn = drawing(&pipeline(&["tcp"], &["k8s", "sample"], &["otlp"]));
        assert_eq!(drawn, "  tcp ──▶ k8s ──▶ sample ───▶ otlp\n");
        let drawn = drawing(&pipeline(&["tcp"], &[], &["debug"]));
        assert_eq!(drawn, "  tcp ────▶ debug\n");
    }

    #[test]
    fn several_at_both_ends() {
        let drawn = drawing(&pipeline(&["tcp", "otlp"], &["k8s"], &["a", "b", "c"]));
        assert_eq!(
            drawn,
            "  tcp ──┬▶ k8s ─┬─▶ a\n  otlp ─┘       ├─▶ b\n                └─▶ c\n"
        );
    }
}
