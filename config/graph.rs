//! The engine's judgement of the whole graph, with the places of the file.

use tapetum_pipeline::graph::{GraphProblem, Place as Where};
use tapetum_pipeline::{GraphSpec, Kind};

use crate::assemble::{Line, Part};
use crate::finding::{Finding, Findings, Place};

/// Names that lead nowhere, unused components, empty pipelines, signals that cannot be carried.
pub(crate) fn check(spec: &GraphSpec, parts: &[Part], lines: &[Line], findings: &mut Findings) {
    for problem in spec.problems() {
        let GraphProblem {
            place,
            message,
            mut hint,
        } = problem;
        let found = match &place {
            Where::Graph => None,
            Where::Instance { kind, id } => part(parts, *kind, id).map(|part| part.place.clone()),
            Where::Pipeline { name, entry } => {
                let line = lines.iter().find(|line| line.spec.name == *name);
                if let Some((kind, id)) = entry
                    && spec.instance(*kind, id).is_none()
                {
                    // Its table is there and was found wrong: that was said.
                    if part(parts, *kind, id).is_some() {
                        continue;
                    }
                    if let Some(other) = parts.iter().find(|part| part.id == *id) {
                        hint = Some(format!("`{id}` is one of the {}", other.kind.table()));
                    }
                }
                line.map(|line| place_in(line, entry.as_ref()))
            }
        };
        let finding = match found {
            // A list that is missing was said where the table was read.
            Some(place) if findings.is_said_at(&place) => continue,
            Some(place) => Finding::new(&place, message),
            None => Finding::nowhere(message),
        };
        findings.add(finding.hint_if(hint));
    }
}

/// More than the budget: whoever starts it would say so, but this is known of the file alone.
pub(crate) fn check_memory(spec: &GraphSpec, place: Option<&Place>, findings: &mut Findings) {
    if let Some(sentence) = spec.budget().excess(spec.service.memory_bytes) {
        findings.add(match place {
            Some(place) => Finding::new(place, sentence),
            None => Finding::nowhere(sentence),
        });
    }
}

fn part<'a>(parts: &'a [Part], kind: Kind, id: &str) -> Option<&'a Part> {
    parts.iter().find(|part| part.kind == kind && part.id == id)
}

/// The last place of a name in a pipeline: of one that stands twice, the one too many.
fn place_in(line: &Line, entry: Option<&(Kind, String)>) -> Place {
    let named = entry.and_then(|(kind, id)| {
        let mut places = line.names.iter().rev();
        places.find(|(other, name, _)| other == kind && name == id)
    });
    named.map_or_else(|| line.place.clone(), |(_, _, place)| place.clone())
}
