//! That links lead somewhere and files that documents name exist.

use std::path::{Path, PathBuf};

use crate::{files_ending, judge, root, text};

/// Text outside of fenced blocks, line by line.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((number + 1, line))
    })
}

/// The targets of `[…](target)` in a line.
fn links(line: &str) -> Vec<&str> {
    let after = line.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The texts between single backticks in a line.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// How a heading is addressed.
fn slug(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    plain
        .chars()
        .filter(|each| each.is_alphanumeric() || matches!(each, ' ' | '-' | '_'))
        .map(|each| if each == ' ' { '-' } else { each })
        .collect()
}

fn has_anchor(file: &Path, anchor: &str) -> bool {
    let text = text(file);
    prose(&text).any(|(_, line)| line.starts_with('#') && slug(line) == anchor)
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for file in files_ending("md") {
        let text = text(&file);
        for (number, line) in prose(&text) {
            for target in links(line) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let folder = file.parent().unwrap_or(Path::new(""));
                let goal = if path.is_empty() {
                    file.clone()
                } else {
                    folder.join(path)
                };
                let is_right =
                    root().join(&goal).exists() && (anchor.is_empty() || has_anchor(&goal, anchor));
                if !is_right {
                    wrong.push(format!("{}:{number}: {target}", file.display()));
                }
            }
        }
    }
    judge("links lead somewhere", &wrong);
}

/// Whether a piece of code is meant as a file or a folder of the project.
fn as_path(span: &str) -> Option<PathBuf> {
    let is_plain = span
        .chars()
        .all(|each| each.is_ascii_alphanumeric() || matches!(each, '/' | '.' | '_' | '-'));
    let (first, _) = span.split_once('/')?;
    let is_room = !first.is_empty() && !first.starts_with('.') && root().join(first).is_dir();
    (is_plain && is_room && !span.contains("NAME")).then(|| PathBuf::from(span))
}

#[test]
fn files_that_documents_name_exist() {
    let mut wrong = Vec::new();
    for file in files_ending("md") {
        if file.ends_with("CHANGELOG.md") {
            continue;
        }
        let text = text(&file);
        for (number, line) in prose(&text) {
            for path in code_spans(line).into_iter().filter_map(as_path) {
                if !root().join(&path).exists() {
                    wrong.push(format!("{}:{number}: {}", file.display(), path.display()));
                }
            }
        }
    }
    judge("files that documents name exist", &wrong);
}
