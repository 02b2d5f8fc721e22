//! `tapetum components`: what can stand in a file, of the components' own tables.

use std::fmt::Write as _;
use std::io;

use tapetum_config::spelling;

use crate::End;
use crate::document::{Document, OptionDocument, documents};
use crate::pipeline::Component;
use crate::terminal::Terminal;

pub(crate) fn components(
    name: Option<&str>,
    json: bool,
    components: &[&'static Component],
    terminal: &mut Terminal,
) -> io::Result<End> {
    let mut documents = documents(components);
    if let Some(name) = name {
        let known: Vec<_> = documents.iter().map(|one| one.name).collect();
        documents.retain(|one| one.name == name);
        if documents.is_empty() {
            let hint = spelling::hint(name, known).unwrap_or_default();
            terminal.complain(&format!("there is no component `{name}`: {hint}"));
            return Ok(End::Wrong);
        }
    }
    let text = match (json, name) {
        (true, _) => serde_json::to_string_pretty(&documents)? + "\n",
        (false, None) => list(&documents, terminal),
        (false, Some(_)) => documents.iter().map(|one| page(one, terminal)).collect(),
    };
    terminal.write(&text)?;
    Ok(End::Well)
}

fn list(documents: &[Document], terminal: &Terminal) -> String {
    let width = documents.iter().map(|one| one.table.chars().count()).max();
    let mut text = String::new();
    for one in documents {
        let pad = " ".repeat(width.unwrap_or(0) - one.table.chars().count());
        let _ = writeln!(text, "{}{pad}  {}", terminal.bold(&one.table), one.summary);
    }
    text + "\n`tapetum components NAME` says all of one of them.\n"
}

fn page(one: &Document, terminal: &Terminal) -> String {
    let mut text = format!("{}  {}\n", terminal.bold(&one.table), one.summary);
    for (title, signals) in [("takes", &one.takes), ("gives", &one.gives)] {
        if !signals.is_empty() {
            let _ = writeln!(text, "{title}: {}", signals.join(", "));
        }
    }
    text.push('\n');
    for option in &one.options {
        text.push_str(&option_text(option, terminal));
    }
    if !one.metrics.is_empty() {
        let _ = writeln!(text, "{}", terminal.bold("Metrics of its own"));
        for metric in &one.metrics {
            let _ = writeln!(text, "  {metric}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}\n  {}", terminal.bold("Example"), one.table);
    for line in one.example.trim().lines() {
        let _ = writeln!(text, "  {line}");
    }
    text + "\n"
}

fn option_text(option: &OptionDocument, terminal: &Terminal) -> String {
    let state = match option.default {
        Some(default) => format!("default {default}"),
        None if option.required => "required".to_owned(),
        None => "may be left out".to_owned(),
    };
    let about = terminal.faint(&format!("{}; {state}", option.r#type));
    let mut text = format!("  {}  {about}\n", terminal.bold(&option.key));
    let _ = writeln!(text, "      {}", option.help);
    if !option.why.is_empty() {
        let _ = writeln!(
            text,
            "      {}",
            terminal.faint(&format!("because: {}", option.why))
        );
    }
    text + "\n"
}
