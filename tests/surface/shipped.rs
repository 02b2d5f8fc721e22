//! The files that ship: right, drawn as committed, and what the documents show of the file is right.

use std::fs;
use std::path::Path;

use tapetum_config::shipped::SHIPPED;
use tapetum_config::{Host, Source, load};

use crate::{compare, run, stderr, stdout};

#[test]
fn every_shipped_file_is_right_and_drawn() {
    for shipped in SHIPPED {
        let file = format!("config/{}.toml", shipped.name);
        let on_disk = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
        assert_eq!(on_disk.expect("the file"), shipped.text, "{file}");
        let output = run(&["validate", &file]);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let drawn = stdout(&run(&["graph", &file]));
        // The sum moves with every table of every component; that it fits is judged by the start.
        let (drawing, memory) = drawn.split_once("memory: ").expect("a sum");
        assert!(memory.ends_with(" MiB of 256MiB\n"), "{file}: {memory}");
        compare(&format!("graph/{}.txt", shipped.name), drawing);
        for (format, extension) in [("mermaid", "mmd"), ("dot", "dot")] {
            let drawn = stdout(&run(&["graph", "--format", format, &file]));
            compare(&format!("graph/{}.{extension}", shipped.name), &drawn);
        }
    }
}

#[test]
fn a_graph_for_a_program() {
    let output = run(&["graph", "--format", "json", "config/agent.toml"]);
    let graph: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let edges = graph["edges"].as_array().expect("edges");
    let has = |pipeline: &str, from: &str, to: &str| {
        let edge = serde_json::json!({ "pipeline": pipeline, "from": from, "to": to });
        edges.contains(&edge)
    };
    assert!(
        has("connections", "tcp", "k8s") && has("metrics", "aggregate", "otlp"),
        "{edges:?}"
    );
    assert_eq!(edges.len(), 7, "{edges:?}");
    let memory = &graph["memory"];
    let lines = memory["lines"].as_array().expect("lines");
    let sum: u64 = lines.iter().filter_map(|line| line["bytes"].as_u64()).sum();
    assert_eq!(memory["at_most_bytes"], sum);
    assert_eq!(memory["of_bytes"], 256 << 20);
}

#[test]
fn files_in_the_documents_are_right() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md"));
    let text = text.expect("docs/config.md");
    let blocks = text.split("```toml\n").skip(1);
    let whole: Vec<_> = blocks
        .filter_map(|block| block.split("```").next())
        .filter(|block| block.contains("[pipelines."))
        .collect();
    assert!(!whole.is_empty(), "docs/config.md shows no whole file");
    for block in whole {
        let source = Source::new("docs/config.md", block);
        if let Err(report) = load(vec![source], &tapetum::components(), &Host) {
            panic!("{report}");
        }
    }
}
