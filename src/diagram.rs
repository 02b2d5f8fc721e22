//! The pipelines of a file for other programs: Mermaid and Graphviz draw them, JSON is for anything else.
//!
//! A receiver or exporter is one node however many pipelines name it, a processor is one a pipeline:
//! as they run.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::document::document;
use crate::pipeline::{GraphSpec, Kind};

/// What is drawn.
struct Node<'a> {
    id: &'a str,
    kind: Kind,
    /// The number of its pipeline; only a processor has one.
    pipeline: Option<usize>,
}

/// From one node to another, in one pipeline.
struct Edge {
    from: usize,
    to: usize,
    pipeline: usize,
}

struct Diagram<'a> {
    spec: &'a GraphSpec,
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge>,
}

/// Mermaid's `flowchart`.
pub(crate) fn mermaid(spec: &GraphSpec) -> String {
    let diagram = Diagram::of(spec);
    let mut text = "flowchart LR\n".to_owned();
    for (at, node) in diagram.outside() {
        let (open, close) = match node.kind {
            Kind::Receiver => ("([", "])"),
            _ => ("[(", ")]"),
        };
        let _ = writeln!(text, "  n{at}{open}\"{}\"{close}", mermaid_text(node.id));
    }
    for (number, pipeline) in spec.pipelines.iter().enumerate() {
        if pipeline.processors.is_empty() {
            continue;
        }
        let _ = writeln!(
            text,
            "  subgraph p{number}[\"{}\"]",
            mermaid_text(&pipeline.name)
        );
        for (at, node) in diagram.inside(number) {
            let _ = writeln!(text, "    n{at}[\"{}\"]", mermaid_text(node.id));
        }
        text.push_str("  end\n");
    }
    for edge in &diagram.edges {
        let label = match diagram.is_bare(edge) {
            true => format!(
                "|\"{}\"|",
                mermaid_text(&spec.pipelines[edge.pipeline].name)
            ),
            false => String::new(),
        };
        let _ = writeln!(text, "  n{} -->{label} n{}", edge.from, edge.to);
    }
    text
}

/// Graphviz' `digraph`.
pub(crate) fn dot(spec: &GraphSpec) -> String {
    let diagram = Diagram::of(spec);
    let mut text = "digraph tapetum {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (at, node) in diagram.outside() {
        let shape = match node.kind {
            Kind::Receiver => "oval",
            _ => "cylinder",
        };
        let _ = writeln!(
            text,
            "  n{at} [label=\"{}\", shape={shape}];",
            dot_text(node.id)
        );
    }
    for (number, pipeline) in spec.pipelines.iter().enumerate() {
        if pipeline.processors.is_empty() {
            continue;
        }
        let label = dot_text(&pipeline.name);
        let _ = writeln!(
            text,
            "  subgraph cluster_{number} {{\n    label=\"{label}\";"
        );
        for (at, node) in diagram.inside(number) {
            let _ = writeln!(text, "    n{at} [label=\"{}\"];", dot_text(node.id));
        }
        text.push_str("  }\n");
    }
    for edge in &diagram.edges {
        let label = match diagram.is_bare(edge) {
            true => format!(
                " [label=\"{}\"]",
                dot_text(&spec.pipelines[edge.pipeline].name)
            ),
            false => String::new(),
        };
        let _ = writeln!(text, "  n{} -> n{}{label};", edge.from, edge.to);
    }
    text + "}\n"
}

/// Components, pipelines, edges, memory.
pub(crate) fn json(spec: &GraphSpec) -> Value {
    let diagram = Diagram::of(spec);
    let components = Kind::ALL.iter().flat_map(|kind| {
        spec.instances(*kind).iter().map(|instance| {
            let document = document(instance.component);
            json!({
                "id": instance.id,
                "kind": kind.name(),
                "type": instance.component.name,
                "takes": document.takes,
                "gives": document.gives,
            })
        })
    });
    let pipelines = spec.pipelines.iter().map(|pipeline| {
        json!({
            "name": pipeline.name,
            "receivers": pipeline.receivers,
            "processors": pipeline.processors,
            "exporters": pipeline.exporters,
        })
    });
    let edges = diagram.edges.iter().map(|edge| {
        json!({
            "pipeline": spec.pipelines[edge.pipeline].name,
            "from": diagram.nodes[edge.from].id,
            "to": diagram.nodes[edge.to].id,
        })
    });
    let budget = spec.budget();
    let lines = budget
        .lines
        .iter()
        .map(|line| json!({ "what": line.what, "bytes": line.bytes() }));
    json!({
        "components": components.collect::<Vec<_>>(),
        "pipelines": pipelines.collect::<Vec<_>>(),
        "edges": edges.collect::<Vec<_>>(),
        "memory": {
            "at_most_bytes": budget.total_bytes(),
            "of_bytes": spec.service.memory_bytes,
            "lines": lines.collect::<Vec<_>>(),
        },
    })
}

impl<'a> Diagram<'a> {
    fn of(spec: &'a GraphSpec) -> Self {
        let mut diagram = Self {
            spec,
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        for kind in [Kind::Receiver, Kind::Exporter] {
            for instance in spec.instances(kind) {
                diagram.node(&instance.id, kind, None);
            }
        }
        for (number, pipeline) in spec.pipelines.iter().enumerate() {
            let shared = |diagram: &Self, kind: Kind| -> Vec<usize> {
                let names = pipeline.names(kind).iter();
                names.filter_map(|id| diagram.shared(kind, id)).collect()
            };
            let mut before = shared(&diagram, Kind::Receiver);
            for id in &pipeline.processors {
                let here = diagram.node(id, Kind::Processor, Some(number));
                diagram.join(&before, &[here], number);
                before = vec![here];
            }
            let ends = shared(&diagram, Kind::Exporter);
            diagram.join(&before, &ends, number);
        }
        diagram
    }

    fn node(&mut self, id: &'a str, kind: Kind, pipeline: Option<usize>) -> usize {
        self.nodes.push(Node { id, kind, pipeline });
        self.nodes.len() - 1
    }

    fn join(&mut self, from: &[usize], to: &[usize], pipeline: usize) {
        for from in from {
            for to in to {
                self.edges.push(Edge {
                    from: *from,
                    to: *to,
                    pipeline,
                });
            }
        }
    }

    fn shared(&self, kind: Kind, id: &str) -> Option<usize> {
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.kind == kind && node.id == id)
    }

    fn outside(&self) -> impl Iterator<Item = (usize, &Node<'a>)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.pipeline.is_none())
    }

    fn inside(&self, pipeline: usize) -> impl Iterator<Item = (usize, &Node<'a>)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.pipeline == Some(pipeline))
    }

    /// Whether an edge is all that is seen of its pipeline, so that it must say the name.
    fn is_bare(&self, edge: &Edge) -> bool {
        self.spec.pipelines[edge.pipeline].processors.is_empty()
    }
}

/// Inside of a quoted label: what Mermaid would read as its own is an entity.
fn mermaid_text(text: &str) -> String {
    let mut safe = String::new();
    for each in text.chars() {
        match each {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                let _ = write!(safe, "#{};", u32::from(each));
            }
            _ if each.is_control() => safe.push(' '),
            _ => safe.push(each),
        }
    }
    safe
}

fn dot_text(text: &str) -> String {
    let mut safe = String::new();
    for each in text.chars() {
        match each {
            '"' | '\\' => safe.extend(['\\', each]),
            _ if each.is_control() => safe.push(' '),
            _ => safe.push(each),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_of_its_quotes() {
        let name = "a\"]; n9[\"b\\#\n";
        assert_eq!(mermaid_text(name), "a#34;]; n9[#34;b#92;#35; ");
        assert_eq!(dot_text(name), "a\\\"]; n9[\\\"b\\\\# ");
    }
}
