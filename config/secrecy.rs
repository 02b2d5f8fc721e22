//! What of a source may be printed beside an error.
//!
//! A value is hidden unless it was checked to be no secret. In a source with a syntax error
//! there is no such knowledge: there everything behind the key is hidden if the table speaks of a secret at all.

use std::collections::BTreeSet;

use tapetum_pipeline::{Component, Opt, OptKind};

use crate::finding::{Findings, Place};
use crate::schema;

/// What is hidden.
pub(crate) struct Secrecy {
    hidden: Vec<Place>,
    broken: BTreeSet<usize>,
    secret_keys: Vec<&'static str>,
}

impl Secrecy {
    pub(crate) fn new(findings: &Findings, components: &[&'static Component]) -> Self {
        let mut secret_keys = Vec::new();
        for component in components {
            note_secret_keys(component.options, &mut secret_keys);
        }
        note_secret_keys(schema::SERVICE, &mut secret_keys);
        Self {
            hidden: findings
                .values
                .iter()
                .filter(|value| !findings.open.contains(value))
                .cloned()
                .collect(),
            broken: findings.broken.clone(),
            secret_keys,
        }
    }

    /// The hidden pieces of a line, as bytes of the line, in order.
    pub(crate) fn of_line(
        &self,
        source: usize,
        text: &str,
        start: usize,
        line: &str,
    ) -> Vec<(usize, usize)> {
        let end = start + line.len();
        let mut pieces: Vec<(usize, usize)> = self
            .hidden
            .iter()
            .filter(|place| place.source == source && place.span.0 < end && place.span.1 > start)
            .map(|place| {
                (
                    place.span.0.max(start) - start,
                    place.span.1.min(end) - start,
                )
            })
            .collect();
        if self.broken.contains(&source) && self.may_be_secret(&text[..end]) {
            let from = line.find('=').map_or(0, |at| at + 1);
            if from < line.len() {
                pieces = vec![(from, line.len())];
            }
        }
        pieces.sort_unstable();
        pieces
    }

    /// Whether the last table of a text that is not understood speaks of a secret.
    fn may_be_secret(&self, text: &str) -> bool {
        let header = text.rmatch_indices("\n[").next().map_or(0, |(at, _)| at);
        self.secret_keys
            .iter()
            .any(|key| text[header..].contains(key))
    }
}

fn note_secret_keys(options: &'static [Opt], keys: &mut Vec<&'static str>) {
    for option in options {
        if is_secret(&option.kind) {
            keys.push(option.key);
        }
        if let OptKind::Table(inner) = option.kind {
            note_secret_keys(inner, keys);
        }
    }
}

/// Whether everything behind an option is secret.
pub(crate) fn is_secret(kind: &OptKind) -> bool {
    match kind {
        OptKind::Secret => true,
        OptKind::List(inner) | OptKind::Map(inner) => is_secret(inner),
        _ => false,
    }
}
