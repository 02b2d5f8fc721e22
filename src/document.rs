//! What is known of a component, as a document: the text for people and the JSON for programs are
//! both made of it, and it of the component's own table.

use serde::Serialize;

use crate::model::Signal;
use crate::pipeline::{Component, Gives, Kind, Opt, OptKind};

/// One thing that can stand in a file.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    /// How its table is written.
    pub(crate) table: String,
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) takes: Vec<&'static str>,
    pub(crate) gives: Vec<&'static str>,
    pub(crate) options: Vec<OptionDocument>,
    pub(crate) metrics: Vec<&'static str>,
    pub(crate) example: &'static str,
}

/// One option.
#[derive(Debug, Serialize)]
pub(crate) struct OptionDocument {
    /// With the keys of the tables around it.
    pub(crate) key: String,
    pub(crate) r#type: String,
    /// As TOML.
    pub(crate) default: Option<&'static str>,
    pub(crate) required: bool,
    pub(crate) help: &'static str,
    pub(crate) why: &'static str,
}

/// Everything that can stand in a file.
pub(crate) fn documents(components: &[&'static Component]) -> Vec<Document> {
    let mut documents: Vec<_> = Kind::ALL
        .iter()
        .flat_map(|kind| components.iter().filter(|one| one.kind() == *kind))
        .map(|component| document(component))
        .collect();
    documents.push(engine_table(
        "[service]",
        "service",
        "what is the same for the whole process; all of it may be left out",
        tapetum_config::schema::SERVICE,
        "cluster = \"${env:CLUSTER:-}\"\nmemory = \"256MiB\"\n",
    ));
    documents.push(engine_table(
        "[pipelines.NAME]",
        "pipelines",
        "where batches come from, what changes them, where they go",
        tapetum_config::schema::PIPELINE,
        "receivers = [\"tcp\"]\nexporters = [\"otlp\"]\n",
    ));
    documents
}

pub(crate) fn document(component: &'static Component) -> Document {
    let kind = component.kind();
    let mut options = options(component.options, "");
    options.extend(self::options(
        tapetum_config::schema::besides(component),
        "",
    ));
    Document {
        table: format!("[{}.{}]", kind.table(), component.name),
        kind: kind.name(),
        name: component.name,
        summary: component.summary,
        takes: component.takes.iter().copied().map(signal).collect(),
        gives: match component.gives {
            Gives::Same => vec!["what it takes"],
            Gives::These(signals) => signals.iter().copied().map(signal).collect(),
            Gives::Nothing => Vec::new(),
        },
        options,
        metrics: component.metrics.to_vec(),
        example: component.example,
    }
}

fn engine_table(
    table: &str,
    name: &'static str,
    summary: &'static str,
    known: &'static [Opt],
    example: &'static str,
) -> Document {
    Document {
        table: table.to_owned(),
        kind: "engine",
        name,
        summary,
        takes: Vec::new(),
        gives: Vec::new(),
        options: options(known, ""),
        metrics: Vec::new(),
        example,
    }
}

fn options(known: &'static [Opt], around: &str) -> Vec<OptionDocument> {
    let mut documents = Vec::new();
    for option in known {
        let key = format!("{around}{}", option.key);
        if let OptKind::Table(inner) = option.kind {
            documents.extend(options(inner, &format!("{key}.")));
            continue;
        }
        let inner = match option.kind {
            OptKind::List(OptKind::Table(inner)) => options(inner, &format!("{key}[].")),
            _ => Vec::new(),
        };
        documents.push(OptionDocument {
            key,
            r#type: type_of(&option.kind),
            default: option.default,
            required: option.default.is_none() && !option.optional,
            help: option.help,
            why: option.why,
        });
        documents.extend(inner);
    }
    documents
}

fn type_of(kind: &OptKind) -> String {
    match kind {
        OptKind::Duration => "duration".to_owned(),
        OptKind::Size => "size".to_owned(),
        OptKind::Integer { min, max: i64::MAX } => format!("whole number, {min} or more"),
        OptKind::Integer { min, max } => format!("whole number from {min} to {max}"),
        OptKind::Rate => "rate".to_owned(),
        OptKind::Bool => "boolean".to_owned(),
        OptKind::Text => "text".to_owned(),
        OptKind::Secret => "secret text".to_owned(),
        OptKind::Path => "path".to_owned(),
        OptKind::Listen => "address to listen on".to_owned(),
        OptKind::Url => "URL".to_owned(),
        OptKind::Choice(words) => words.join(" | "),
        OptKind::List(inner) => format!("list of: {}", type_of(inner)),
        OptKind::Map(inner) => format!("table of free keys, each: {}", type_of(inner)),
        OptKind::Table(_) => "table".to_owned(),
    }
}

fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Connections => "connections",
        Signal::Points => "points",
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}
