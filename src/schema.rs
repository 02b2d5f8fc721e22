//! `tapetum schema`: the JSON Schema of the file, for editors, of the same tables of options that check a
//! file and write the documents.
//!
//! Draft 7, which the editors' TOML extensions understand. A schema cannot see more than one value at a
//! time: what a component's own check says, and whether a name leads anywhere, only `validate` knows. It
//! is never stricter than the file: wherever a text may stand, a substitution (`${env:…}`) may.

use std::io;

use serde_json::{Map, Value, json};
use tapetum_config::schema::{PIPELINE, SERVICE, besides};

use crate::End;
use crate::document::document;
use crate::pipeline::{Component, Kind, Opt, OptKind};
use crate::terminal::Terminal;

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";
/// What is filled in when the file is read can be anything.
const SUBSTITUTION: &str = r"\$\{(env|file):";
/// What may stand after the type in the name of a second instance.
const NAME: &str = "[A-Za-z0-9_.-]+";

pub(crate) fn schema(
    components: &[&'static Component],
    terminal: &mut Terminal,
) -> io::Result<End> {
    let text = serde_json::to_string_pretty(&of(components))? + "\n";
    terminal.write(&text)?;
    Ok(End::Well)
}

fn of(components: &[&'static Component]) -> Value {
    let mut properties = Map::new();
    let about = "what is the same for the whole process; all of it may be left out";
    properties.insert("service".to_owned(), table(SERVICE.iter(), about));
    for kind in Kind::ALL {
        properties.insert(kind.table().to_owned(), instances(kind, components));
    }
    properties.insert("pipelines".to_owned(), pipelines(components));
    json!({
        "$schema": DRAFT,
        "title": "Tapetum pipeline file",
        "description": "What `tapetum run` reads. Several files are one file, so a part may lack what another one has. `tapetum validate` says more than a schema can.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// `[receivers]`, `[processors]` or `[exporters]`: by type, and by type and name.
fn instances(kind: Kind, components: &[&'static Component]) -> Value {
    let (mut plain, mut named) = (Map::new(), Map::new());
    for component in components.iter().filter(|one| one.kind() == kind) {
        let known = component.options.iter().chain(besides(component));
        let table = table(known, &about(component));
        named.insert(
            format!("^{}/{NAME}$", escaped(component.name)),
            table.clone(),
        );
        plain.insert(component.name.to_owned(), table);
    }
    json!({
        "description": format!("the {}: a key is a type, or \"type/name\" for a second one of it", kind.table()),
        "type": "object",
        "properties": plain,
        "patternProperties": named,
        "additionalProperties": false,
    })
}

fn about(component: &'static Component) -> String {
    let document = document(component);
    let mut text = component.summary.to_owned();
    for (title, signals) in [("takes", &document.takes), ("gives", &document.gives)] {
        if !signals.is_empty() {
            text += &format!("\n{title}: {}", signals.join(", "));
        }
    }
    format!(
        "{text}\n\nExample:\n[{}.{}]\n{}",
        component.kind().table(),
        component.name,
        component.example
    )
}

/// A name in a pipeline's list begins with a type that there is.
fn pipelines(components: &[&'static Component]) -> Value {
    let mut pipeline = table(
        PIPELINE.iter(),
        "where batches come from, what changes them, where they go",
    );
    for kind in Kind::ALL {
        let types = components.iter().filter(|one| one.kind() == kind);
        let types: Vec<_> = types.map(|one| escaped(one.name)).collect();
        let list = &mut pipeline["properties"][kind.table()];
        list["items"] = json!({
            "type": "string",
            "pattern": format!("^({})(/{NAME})?$|{SUBSTITUTION}", types.join("|")),
        });
        list["uniqueItems"] = json!(true);
        if kind != Kind::Processor {
            list["minItems"] = json!(1);
        }
    }
    json!({
        "description": "any name is a pipeline's name",
        "type": "object",
        "additionalProperties": pipeline,
    })
}

fn table<'a>(known: impl Iterator<Item = &'a Opt>, about: &str) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for option in known {
        if option.default.is_none() && !option.optional {
            required.push(option.key);
        }
        properties.insert(option.key.to_owned(), described(option));
    }
    let mut table = json!({
        "description": about,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

fn described(option: &Opt) -> Value {
    let mut value = kind(&option.kind);
    let mut about = option.help.to_owned();
    if let Some(default) = option.default {
        let default: Option<toml::Table> = toml::from_str(&format!("value = {default}")).ok();
        let default = default.and_then(|mut table| table.remove("value"));
        value["default"] = json!(default);
    }
    if !option.why.is_empty() {
        let whose = if option.default.is_some() {
            "Its default"
        } else {
            "Why"
        };
        about += &format!("\n{whose}: {}", option.why);
    }
    value["description"] = json!(about);
    value
}

fn kind(of: &OptKind) -> Value {
    match of {
        OptKind::Duration => text("^[0-9]+(ms|s|m|h)$", &["250ms", "10s", "5m", "1h"]),
        OptKind::Size => text(
            "^[0-9]+(KiB|MiB|GiB|KB|MB|GB|B)$",
            &["64KiB", "16MiB", "1GiB", "4MB"],
        ),
        OptKind::Rate => text(r"^[0-9]+(\.[0-9]*)?%$", &["5%", "0.1%"]),
        OptKind::Listen => text(
            r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$",
            &["127.0.0.1:9464", "[::]:9464"],
        ),
        OptKind::Url => text("^https?://[^/@ ]+(/[^@ ]*)?$", &["http://collector:4317"]),
        OptKind::Text | OptKind::Secret => json!({ "type": "string" }),
        OptKind::Path => json!({ "type": "string", "minLength": 1 }),
        OptKind::Integer { min, max } => {
            let mut number = json!({ "type": "integer", "minimum": min });
            if *max != i64::MAX {
                number["maximum"] = json!(max);
            }
            or_substitution(number)
        }
        OptKind::Bool => or_substitution(json!({ "type": "boolean" })),
        OptKind::Choice(words) => or_substitution(json!({ "enum": words })),
        OptKind::List(inner) => json!({ "type": "array", "items": kind(inner) }),
        OptKind::Map(inner) => json!({ "type": "object", "additionalProperties": kind(inner) }),
        OptKind::Table(options) => {
            let mut table = table(options.iter(), "");
            table
                .as_object_mut()
                .and_then(|table| table.remove("description"));
            table
        }
    }
}

fn text(pattern: &str, examples: &[&str]) -> Value {
    json!({
        "type": "string",
        "pattern": format!("{pattern}|{SUBSTITUTION}"),
        "examples": examples,
    })
}

fn or_substitution(value: Value) -> Value {
    json!({ "anyOf": [value, { "type": "string", "pattern": SUBSTITUTION }] })
}

/// A name inside of a pattern.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for each in name.chars() {
        if !(each.is_ascii_alphanumeric() || matches!(each, '_' | '-')) {
            text.push('\\');
        }
        text.push(each);
    }
    text
}
