//! The rules of the house, held by a machine: which room may know which, what every file opens with,
//! how long it may be, which words do not belong in it, and that what documents name exists.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/rooms.rs"]
mod rooms;

use std::fs;
use std::path::{Path, PathBuf};

/// What no rule looks at: made by tools, or not of this project.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", "proptest-regressions"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project, relative to its root, in order.
fn all_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry of it").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(
                    path.strip_prefix(root())
                        .expect("below the root")
                        .to_path_buf(),
                );
            }
        }
    }
    files.sort();
    files
}

fn files_ending(extension: &str) -> Vec<PathBuf> {
    let mut files = all_files();
    files.retain(|file| file.extension().is_some_and(|one| one == extension));
    files
}

fn text(file: &Path) -> String {
    let bytes = fs::read(root().join(file)).expect("a file of the project");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Fails with every violation at once.
fn judge(rule: &str, violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{rule}:\n  {}",
        violations.join("\n  ")
    );
}
