//! The documents of the components: against committed files, and against their READMEs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tapetum::pipeline::{Build, Component, Kind, Opt, OptKind, Settings};
use tapetum_config::{Source, World, load};

use crate::{compare, run, stdout};

#[test]
fn the_documents() {
    let json = stdout(&run(&["components", "--json"]));
    compare("components.json", &json);
    let documents: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let names: BTreeSet<_> = documents
        .as_array()
        .expect("a list")
        .iter()
        .map(|document| document["name"].as_str().expect("a name").to_owned())
        .collect();
    let mut pages = stdout(&run(&["components"]));
    for name in names {
        pages.push_str(&format!("\n$ tapetum components {name}\n"));
        pages.push_str(&stdout(&run(&["components", &name])));
    }
    compare("components.txt", &pages);
}

#[test]
fn one_component_for_a_program() {
    let json = stdout(&run(&["components", "aggregate", "--json"]));
    let documents: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(documents.as_array().expect("a list").len(), 1);
    assert_eq!(documents[0]["table"], "[processors.aggregate]");
}

#[test]
fn every_default_is_toml_of_its_kind() {
    let tables = [
        tapetum_config::schema::SERVICE,
        tapetum_config::schema::PIPELINE,
        tapetum_config::schema::EXPORTER,
    ];
    let components = tapetum::components();
    let options = components.iter().map(|component| component.options);
    for table in options.chain(tables) {
        for option in table {
            judge_default(option);
        }
    }
}

fn judge_default(option: &Opt) {
    let Opt {
        key,
        help,
        why,
        default,
        optional,
        kind,
    } = option;
    assert!(!help.is_empty() && !help.ends_with('.'), "{key}: {help}");
    assert!(
        !(default.is_some() && *optional),
        "{key} has a default and may lack it"
    );
    let Some(default) = default else { return };
    assert!(!why.is_empty(), "{key} has a default without a reason");
    let value = toml::from_str::<toml::Table>(&format!("value = {default}"));
    let value = &value.unwrap_or_else(|_| panic!("{key}: {default} is not TOML"))["value"];
    assert!(fits(kind, value), "{key}: {default} is not a {kind:?}");
    if let OptKind::Table(inner) = kind {
        inner.iter().for_each(judge_default);
    }
}

fn fits(kind: &OptKind, value: &toml::Value) -> bool {
    use tapetum::pipeline::{Duration, Size};
    let text = value.as_str().unwrap_or_default();
    match kind {
        OptKind::Duration => Duration::parse(text).is_ok(),
        OptKind::Size => Size::parse(text).is_ok(),
        OptKind::Integer { min, max } => value
            .as_integer()
            .is_some_and(|number| (*min..=*max).contains(&number)),
        OptKind::Bool => value.is_bool(),
        OptKind::Choice(words) => words.contains(&text),
        OptKind::List(inner) => value
            .as_array()
            .is_some_and(|items| items.iter().all(|item| fits(inner, item))),
        OptKind::Map(_) | OptKind::Table(_) => value.is_table(),
        OptKind::Rate => text.ends_with('%'),
        OptKind::Text | OptKind::Secret | OptKind::Path | OptKind::Listen | OptKind::Url => {
            value.is_str()
        }
    }
}

/// A world in which every variable and file has a value.
struct Generous;

impl World for Generous {
    fn variable(&self, _: &str) -> Option<String> {
        Some("value".to_owned())
    }

    fn text(&self, _: &Path) -> std::io::Result<String> {
        Ok("value".to_owned())
    }
}

#[test]
fn every_example_works_as_it_stands() {
    for component in tapetum::components() {
        let table = format!("[{}.{}]", component.kind().table(), component.name);
        let text = format!("{table}\n{}", component.example);
        let source = Source::new("example.toml", text);
        let report = match load(vec![source], &tapetum::components(), &Generous) {
            Ok(_) => String::new(),
            Err(report) => report.render(false),
        };
        // Alone it is in no pipeline; nothing else may be wrong.
        let wrong: Vec<_> = report
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
            .filter(|error| {
                !error.ends_with("is in no pipeline") && *error != "there is no pipeline"
            })
            .collect();
        assert!(wrong.is_empty(), "{table}: {wrong:?}\n{report}");
        assert!(
            !component.example.trim().is_empty(),
            "{table} has no example"
        );
    }
}

/// What the file reader hands over must be what the component reads: a key that gets lost on the way fails here.
#[test]
fn every_processor_is_made_of_its_example() {
    let mut made = Vec::new();
    for component in tapetum::components() {
        let Build::Processor(build) = component.build else {
            continue;
        };
        let name = component.name;
        let text = format!(
            "[receivers.tcp]\n[exporters.debug]\n[processors.{name}]\n{}\n\
             [pipelines.p]\nreceivers = [\"tcp\"]\nprocessors = [\"{name}\"]\nexporters = [\"debug\"]\n",
            component.example
        );
        let source = Source::new("example.toml", text);
        let spec = load(vec![source], &tapetum::components(), &Generous);
        let spec = spec.unwrap_or_else(|report| panic!("{name}: {report}"));
        let settings = &spec.processors[0].settings;
        if let Err(why) = build(settings, &tapetum_testkit::context(name)) {
            panic!("{name}: {why}");
        }
        made.push(name);
    }
    assert!(
        made.contains(&"memory_limiter") && made.len() >= 7,
        "{made:?}"
    );
}

#[test]
fn the_bound_of_every_component_is_said() {
    for component in tapetum::components() {
        let bound = (component.bound)(&Settings::new(defaults(component)));
        let is_said = bound.user_bytes > 0 || component.kind() != Kind::Receiver;
        assert!(is_said, "{} says no bound", component.name);
    }
}

fn defaults(component: &Component) -> toml::Table {
    let text = component.example;
    let mut table: toml::Table = toml::from_str(text).expect("an example is TOML");
    for option in component.options {
        if let (None, Some(default)) = (table.get(option.key), option.default) {
            let value: toml::Table = toml::from_str(&format!("v = {default}")).expect("TOML");
            table.insert(option.key.to_owned(), value["v"].clone());
        }
    }
    table
}

/// Whether a row has the default, with the quotes of TOML or without.
fn says(row: &str, default: &str) -> bool {
    let bare = default.trim_matches('"');
    row.contains(&format!("`{default}`")) || row.contains(&format!("`{bare}`"))
}

#[test]
fn every_readme_has_every_option_with_its_default() {
    let mut wrong = Vec::new();
    for component in tapetum::components() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(component.kind().table())
            .join(component.name);
        let readme = fs::read_to_string(folder.join("README.md")).expect("a README");
        for option in component.options {
            let row = readme
                .lines()
                .find(|line| line.starts_with(&format!("| `{}`", option.key)));
            match (row, option.default) {
                (None, _) => wrong.push(format!("{}: no row for `{}`", component.name, option.key)),
                (Some(row), Some(default)) if !says(row, default) => {
                    wrong.push(format!(
                        "{}: `{}` is {default}, not {row}",
                        component.name, option.key
                    ));
                }
                _ => {}
            }
        }
        for metric in component.metrics {
            if !readme.contains(&format!("`{metric}`")) {
                wrong.push(format!("{}: no row for {metric}", component.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "READMEs differ from the components:\n  {}",
        wrong.join("\n  ")
    );
}
