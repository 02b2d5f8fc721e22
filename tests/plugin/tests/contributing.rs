//! That this crate is what CONTRIBUTING.md shows, word for word: whoever follows it gets this.

use std::fs;
use std::path::Path;

/// The section that this crate follows.
const SECTION: &str = "\n## Add a component\n";

#[test]
fn what_contributing_shows_is_this_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("../../CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let section = text.split(SECTION).nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let files: Vec<_> = [
        "Cargo.toml",
        "ports.toml",
        "src/lib.rs",
        "src/main.rs",
        "src/ports/mod.rs",
        "src/ports/config.rs",
        "src/ports/tests.rs",
        "src/ports/README.md",
    ]
    .iter()
    .map(|file| fs::read_to_string(root.join(file)).expect("a file of this crate"))
    .collect();
    let mut shown = 0;
    for block in section.split("\n```").skip(1).step_by(2) {
        let (language, code) = block.split_once('\n').expect("a block");
        if language == "sh" {
            continue;
        }
        shown += 1;
        assert!(
            files.iter().any(|file| file.contains(code.trim())),
            "CONTRIBUTING.md shows what is not in tests/plugin:\n{code}"
        );
    }
    assert!(shown >= 4, "only {shown} blocks are shown");
}
