//! What is wrong, and where: collected while everything is checked, so that a person mends a file once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::Source;
use crate::position::Position;

/// A piece of one of the sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) span: (usize, usize),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where; `None`: nowhere in particular.
    pub(crate) place: Option<Place>,
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// A second place that explains it, and what is there.
    pub(crate) other: Option<(Place, &'static str)>,
    /// It is the parser's: what else is found on its line only follows from it.
    pub(crate) syntax: bool,
}

/// All of them, and which values may be shown beside them.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    /// Values that were checked to be no secret. Every other value is hidden in what is printed:
    /// behind an unknown key may stand a secret that was meant for a known one.
    pub(crate) open: BTreeSet<Place>,
    /// Every value of every source.
    pub(crate) values: Vec<Place>,
    /// Sources that were not understood: what their values are is a guess.
    pub(crate) broken: BTreeSet<usize>,
}

impl Place {
    pub(crate) fn new(source: usize, span: Range<usize>) -> Self {
        Self {
            source,
            span: (span.start, span.end),
        }
    }
}

impl Finding {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place.clone()),
            message: message.into(),
            hint: None,
            other: None,
            syntax: false,
        }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            hint: None,
            other: None,
            syntax: false,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn other(mut self, place: &Place, label: &'static str) -> Self {
        self.other = Some((place.clone(), label));
        self
    }
}

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.list.push(finding);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether something was already said about this very place.
    pub(crate) fn is_said_at(&self, place: &Place) -> bool {
        self.list
            .iter()
            .any(|one| one.place.as_ref() == Some(place))
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// In the order of the files, each thing once; what has no place comes last. Of a line that is
    /// not understood only the first error is kept: the others follow from it.
    pub(crate) fn sorted(&self, sources: &[Source]) -> Vec<Finding> {
        let line_of = |place: &Place| {
            let position = Position::of(&sources[place.source].text, place.span.0);
            (place.source, position.start)
        };
        let mut list = self.list.clone();
        list.sort_by(|left, right| {
            (left.place.is_none(), &left.place, !left.syntax).cmp(&(
                right.place.is_none(),
                &right.place,
                !right.syntax,
            ))
        });
        let mut first: BTreeMap<_, Place> = BTreeMap::new();
        for finding in list.iter().filter(|finding| finding.syntax) {
            if let Some(place) = &finding.place {
                first.entry(line_of(place)).or_insert_with(|| place.clone());
            }
        }
        if !first.is_empty() {
            list.retain(|finding| {
                let syntax = finding.place.as_ref().and_then(|place| {
                    let first = first.get(&line_of(place))?;
                    Some(finding.syntax && first == place)
                });
                syntax.unwrap_or(true)
            });
        }
        list.dedup();
        list
    }
}
