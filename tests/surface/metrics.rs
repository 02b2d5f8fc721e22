//! The metrics: names, units and descriptions against a committed file, and what the documents say of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tapetum_otlp::names::{METRICS, metric};

use crate::compare;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    fs::read_to_string(path).expect("a document")
}

#[test]
fn the_names() {
    let mut table = String::new();
    for each in METRICS {
        let it = metric(each);
        let instrument = each.instrument();
        let _ = writeln!(
            table,
            "{} {instrument:?} {}\n    {}\n    {}",
            it.name, it.unit, it.prometheus, it.description
        );
    }
    compare("metrics.txt", &table);
}

#[test]
fn every_metric_is_in_the_documents_and_no_other() {
    let telemetry = document("telemetry.md");
    let operating = document("operating.md");
    let rows: Vec<_> = telemetry
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let mut wrong = Vec::new();
    for each in METRICS {
        let it = metric(each);
        // An attribute of spans may be called the same.
        let says = |row: &str| {
            let first = row.split('|').nth(1).unwrap_or_default();
            let is_own = it.name.starts_with("tapetum.");
            first.contains(&format!("`{}`", it.name))
                && (is_own || row.contains(&format!("`{}`", it.prometheus)))
        };
        if !rows.iter().any(|row| says(row)) {
            wrong.push(format!(
                "docs/telemetry.md has no row for {} as {}",
                it.name, it.prometheus
            ));
        }
    }
    // What a document calls a metric of Tapetum is one.
    for (name, text) in [("telemetry.md", &telemetry), ("operating.md", &operating)] {
        for span in text.split('`').skip(1).step_by(2) {
            let is_name = span.starts_with("tapetum_")
                && span.ends_with(|last: char| last.is_ascii_lowercase());
            let known = METRICS.iter().any(|each| metric(*each).prometheus == span);
            if is_name && !known && !span.contains([' ', '=', ':']) {
                wrong.push(format!("docs/{name} speaks of {span}, which there is not"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
