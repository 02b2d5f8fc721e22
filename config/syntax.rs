//! Sources to trees with places, and the parser's own errors among the others.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Source;
use crate::finding::{Finding, Findings, Place};

/// A source as a tree.
pub(crate) struct Tree<'a> {
    pub(crate) source: usize,
    pub(crate) of: &'a Source,
    pub(crate) table: DeTable<'a>,
    /// Parts may be missing from the tree: only what is there can be judged.
    pub(crate) broken: bool,
}

/// Parses all sources, as far as each can be understood.
pub(crate) fn trees<'a>(sources: &'a [Source], findings: &mut Findings) -> Vec<Tree<'a>> {
    sources
        .iter()
        .enumerate()
        .map(|(number, source)| {
            let (table, errors) = DeTable::parse_recoverable(&source.text);
            for error in &errors {
                let span = error.span().unwrap_or(0..0);
                let place = Place::new(number, span);
                let message = format!("not TOML here: {}", error.message());
                let mut finding = Finding::new(&place, message);
                finding.syntax = true;
                findings.add(finding);
            }
            if !errors.is_empty() {
                findings.broken.insert(number);
            }
            let table = table.into_inner();
            note_values(number, &table, findings);
            Tree {
                source: number,
                of: source,
                table,
                broken: !errors.is_empty(),
            }
        })
        .collect()
}

/// Notes where values stand: they are hidden until they are known to be no secret.
fn note_values(source: usize, table: &DeTable<'_>, findings: &mut Findings) {
    for value in table.values() {
        note_value(source, value, findings);
    }
}

fn note_value(source: usize, value: &Spanned<DeValue<'_>>, findings: &mut Findings) {
    match value.get_ref() {
        DeValue::Table(table) => note_values(source, table, findings),
        DeValue::Array(items) => {
            for item in items.iter() {
                note_value(source, item, findings);
            }
        }
        _ => findings.values.push(Place::new(source, value.span())),
    }
}

/// What a person calls the value: with its article.
pub(crate) fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Entries of a table in the order of the file.
pub(crate) fn in_order<'t, 'a>(
    table: &'t DeTable<'a>,
) -> Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
        .collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}
