//! From trees to the description of a graph: which tables there are, whose they are, and that each is
//! right for its owner.

use std::collections::BTreeMap;
use std::ops::Range;

use tapetum_pipeline::{
    Component, GraphSpec, Instance, Kind, Opt, PipelineSpec, Problem, Settings,
};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::finding::{Finding, Findings, Place};
use crate::syntax::{Tree, in_order, noun, trees};
use crate::value::{Reader, filled_up};
use crate::{Source, World, engine, graph, schema, spelling};

const SECTIONS: [&str; 5] = [
    "service",
    "receivers",
    "processors",
    "exporters",
    "pipelines",
];

/// A component table of the file, whether right or not.
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) place: Place,
}

/// A pipeline table of the file, and where each name in it stands.
pub(crate) struct Line {
    pub(crate) spec: PipelineSpec,
    pub(crate) place: Place,
    pub(crate) names: Vec<(Kind, String, Place)>,
}

struct Assembly<'a> {
    components: &'a [&'static Component],
    world: &'a dyn World,
    findings: &'a mut Findings,
    service: Table,
    service_places: BTreeMap<String, Place>,
    parts: Vec<Part>,
    instances: Vec<(Kind, Instance)>,
    lines: Vec<Line>,
}

/// The graph that all sources together describe, as far as it can be understood.
pub(crate) fn assemble(
    sources: &[Source],
    components: &[&'static Component],
    world: &dyn World,
    findings: &mut Findings,
) -> Option<GraphSpec> {
    let trees = trees(sources, findings);
    let mut assembly = Assembly {
        components,
        world,
        findings,
        service: Table::new(),
        service_places: BTreeMap::new(),
        parts: Vec::new(),
        instances: Vec::new(),
        lines: Vec::new(),
    };
    for tree in &trees {
        assembly.tree(tree);
    }
    // What is absent from a file that was not understood may well be there.
    let whole = !trees.iter().any(|tree| tree.broken);
    assembly.finish(whole)
}

impl Assembly<'_> {
    fn tree(&mut self, tree: &Tree<'_>) {
        for (key, span, value) in in_order(&tree.table) {
            let place = Place::new(tree.source, span);
            if !SECTIONS.contains(&key) {
                self.findings.add(
                    Finding::new(&place, format!("unknown table `{key}`"))
                        .hint_if(spelling::hint(key, SECTIONS)),
                );
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.no_table(value, tree.source, &place);
                continue;
            };
            match key {
                "service" => self.service(tree, table, &place),
                "receivers" => self.kind(tree, Kind::Receiver, table),
                "processors" => self.kind(tree, Kind::Processor, table),
                "exporters" => self.kind(tree, Kind::Exporter, table),
                _ => self.pipelines(tree, table),
            }
        }
    }

    fn service(&mut self, tree: &Tree<'_>, table: &DeTable<'_>, header: &Place) {
        let known: Vec<&'static Opt> = schema::SERVICE.iter().collect();
        let read = self.reader(tree).options(&known, table, header);
        for (key, span, _) in in_order(table) {
            let place = Place::new(tree.source, span);
            if let Some(first) = self.service_places.get(key) {
                self.findings
                    .add(twice(&place, first, &format!("`{key}` of [service]")));
            } else if let Some(value) = read.get(key) {
                self.service.insert(key.to_owned(), value.clone());
                self.service_places.insert(key.to_owned(), place);
            }
        }
    }

    fn kind(&mut self, tree: &Tree<'_>, kind: Kind, tables: &DeTable<'_>) {
        for (id, span, value) in in_order(tables) {
            let place = Place::new(tree.source, span);
            let component = self.component(kind, id, &place);
            let first = self
                .parts
                .iter()
                .find(|part| part.kind == kind && part.id == id);
            if let Some(first) = first {
                let finding = twice(&place, &first.place, &kind.header(id));
                self.findings.add(finding);
                continue;
            }
            self.parts.push(Part {
                kind,
                id: id.to_owned(),
                place: place.clone(),
            });
            let DeValue::Table(table) = value.get_ref() else {
                self.no_table(value, tree.source, &place);
                continue;
            };
            if let Some(component) = component {
                let instance = self.instance(tree, id, component, table, &place);
                self.instances.push((kind, instance));
            }
        }
    }

    /// The component that an id names: its type stands before the slash.
    fn component(&mut self, kind: Kind, id: &str, place: &Place) -> Option<&'static Component> {
        let (wanted, name) = match id.split_once('/') {
            Some((wanted, name)) => (wanted, Some(name)),
            None => (id, None),
        };
        if name.is_some_and(|name| !is_name(name)) {
            self.findings.add(
                Finding::new(
                    place,
                    "a name after the `/` is of letters, digits, `-`, `_` and `.`",
                )
                .hint(format!("write for example \"{wanted}/second\"")),
            );
        }
        let known = self.components.iter().copied();
        if let Some(found) = known
            .clone()
            .find(|one| one.kind() == kind && one.name == wanted)
        {
            return Some(found);
        }
        let hint = match known.clone().find(|one| one.name == wanted) {
            Some(other) => {
                let right = other.kind().table();
                Some(format!(
                    "`{wanted}` is one of the {right}: write [{right}.{wanted}]"
                ))
            }
            None => spelling::hint(
                wanted,
                known.filter(|one| one.kind() == kind).map(|one| one.name),
            ),
        };
        let message = format!("there is no {} `{wanted}`", kind.name());
        self.findings
            .add(Finding::new(place, message).hint_if(hint));
        None
    }

    fn instance(
        &mut self,
        tree: &Tree<'_>,
        id: &str,
        component: &'static Component,
        table: &DeTable<'_>,
        header: &Place,
    ) -> Instance {
        let mut known: Vec<&'static Opt> = component.options.iter().collect();
        known.extend(schema::besides(component));
        let before = self.findings.count();
        let mut reader = self.reader(tree);
        let mut read = reader.options(&known, table, header);
        let renewals = reader.renewals;
        // A component that has neither may call an option of its own so.
        let mut besides = |key: &str| {
            let mut all = schema::besides(component).iter();
            all.any(|option| option.key == key)
                .then(|| read.remove(key))?
        };
        let queue = engine::queue(besides("queue"));
        let retry = engine::retry(besides("retry"));
        if retry.first > retry.most {
            let message = "`retry.first` is longer than `retry.most`";
            let place = place_of(&["retry".to_owned()], table, tree.source, header);
            self.findings
                .add(Finding::new(&place, message).hint("make `most` the longer one"));
        }
        for problem in engine::queue_problems(&queue, table) {
            let place = place_of(&problem.path, table, tree.source, header);
            self.findings
                .add(Finding::new(&place, problem.message).hint_if(problem.hint));
        }
        let settings = Settings::new(read).with_renewals(renewals);
        // Its author's check may trust types and presence, so it runs only where both are right.
        if self.findings.count() == before && !tree.broken {
            for Problem {
                path,
                message,
                hint,
            } in (component.check)(&settings)
            {
                let place = place_of(&path, table, tree.source, header);
                self.findings
                    .add(Finding::new(&place, message).hint_if(hint));
            }
        }
        Instance {
            id: id.to_owned(),
            component,
            settings,
            queue,
            retry,
        }
    }

    fn pipelines(&mut self, tree: &Tree<'_>, tables: &DeTable<'_>) {
        let known: Vec<&'static Opt> = schema::PIPELINE.iter().collect();
        for (name, span, value) in in_order(tables) {
            let place = Place::new(tree.source, span);
            if let Some(first) = self.lines.iter().find(|line| line.spec.name == name) {
                let finding = twice(&place, &first.place, &format!("[pipelines.{name}]"));
                self.findings.add(finding);
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.no_table(value, tree.source, &place);
                continue;
            };
            let read = self.reader(tree).options(&known, table, &place);
            let mut names = Vec::new();
            let mut ids = |kind: Kind| {
                let ids = texts(read.get(kind.table()));
                let spans = item_spans(table.get(kind.table()));
                for (id, span) in ids.iter().zip(spans) {
                    names.push((kind, id.clone(), Place::new(tree.source, span)));
                }
                ids
            };
            let spec = PipelineSpec {
                name: name.to_owned(),
                receivers: ids(Kind::Receiver),
                processors: ids(Kind::Processor),
                exporters: ids(Kind::Exporter),
            };
            self.lines.push(Line { spec, place, names });
        }
    }

    fn no_table(&mut self, value: &Spanned<DeValue<'_>>, source: usize, place: &Place) {
        let found = noun(value.get_ref());
        let mut finding = Finding::new(place, format!("expected a table, found {found}"));
        if matches!(value.get_ref(), DeValue::Array(_)) {
            finding = finding.hint("write its name in single brackets");
        } else {
            finding.place = Some(Place::new(source, value.span()));
        }
        self.findings.add(finding);
    }

    fn reader<'b>(&'b mut self, tree: &'b Tree<'_>) -> Reader<'b> {
        Reader {
            source: tree.source,
            text: &tree.of.text,
            folder: &tree.of.folder,
            world: self.world,
            broken: tree.broken,
            findings: self.findings,
            path: Vec::new(),
            renewals: BTreeMap::new(),
        }
    }

    fn finish(self, whole: bool) -> Option<GraphSpec> {
        let pipelines = self.lines.iter().map(|line| line.spec.clone()).collect();
        let mut spec = GraphSpec {
            service: engine::service(&filled_up(schema::SERVICE, self.service))?,
            receivers: Vec::new(),
            processors: Vec::new(),
            exporters: Vec::new(),
            pipelines,
        };
        for (kind, instance) in self.instances {
            match kind {
                Kind::Receiver => spec.receivers.push(instance),
                Kind::Processor => spec.processors.push(instance),
                Kind::Exporter => spec.exporters.push(instance),
            }
        }
        if whole {
            graph::check(&spec, &self.parts, &self.lines, self.findings);
        }
        // A bound may trust types and presence, like a check.
        if self.findings.is_empty() {
            let memory = self.service_places.get("memory");
            graph::check_memory(&spec, memory, self.findings);
        }
        Some(spec)
    }
}

fn twice(place: &Place, first: &Place, what: &str) -> Finding {
    Finding::new(place, format!("{what} is defined twice")).other(first, "first defined here")
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.'))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array);
    let texts = items.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn item_spans(list: Option<&Spanned<DeValue<'_>>>) -> Vec<Range<usize>> {
    let items = list.and_then(|list| list.get_ref().as_array());
    items
        .into_iter()
        .flat_map(|items| items.iter())
        .map(Spanned::span)
        .collect()
}

/// The place of the value at the end of `path`, or of the last thing on the way that the file has.
fn place_of(path: &[String], table: &DeTable<'_>, source: usize, header: &Place) -> Place {
    let Some((key, rest)) = path.split_first() else {
        return header.clone();
    };
    let Some(value) = table.get(key.as_str()) else {
        return header.clone();
    };
    let here = Place::new(source, value.span());
    match (value.get_ref(), rest.first()) {
        (DeValue::Table(inner), Some(_)) => place_of(rest, inner, source, &here),
        (DeValue::Array(items), Some(index)) => {
            let item = index.parse().ok().and_then(|index: usize| items.get(index));
            let Some(item) = item else { return here };
            let there = Place::new(source, item.span());
            match item.get_ref() {
                DeValue::Table(inner) => place_of(&rest[1..], inner, source, &there),
                _ => there,
            }
        }
        _ => here,
    }
}
