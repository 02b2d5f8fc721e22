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
    }
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
