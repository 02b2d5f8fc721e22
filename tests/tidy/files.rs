//! What every file opens with, how long it may be, and which words do not belong in it.

use std::path::{Path, PathBuf};

use crate::{all_files, judge, text};

/// Up to here a file needs no reason for its length.
const LINES_FREE: usize = 400;
const LINES_MAX: usize = 800;
const LINES_MEDIAN_MAX: usize = 150;
/// What a longer file says in its head, with the reason behind it.
const REASON: &str = "Long because";

/// Words that say that something is not done, or speak of how the project came to be instead of what
/// it is. In two pieces each, so that this list does not find itself.
const WORDS: [(&str, &str); 24] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("../sha", "red"),
    ("/wor", "k/"),
    ("sub", "agent"),
    ("sub-", "agent"),
    ("engine ", "issue"),
    ("cluster ", "issue"),
    ("this ", "issue"),
    ("next ", "issue"),
    ("issue ", "#"),
    ("Cla", "ude"),
    ("Anthro", "pic"),
    ("chat", "bot"),
    ("language ", "model"),
    ("crates", ".io"),
    ("py", "pi.org"),
    ("registry.", "npmjs"),
    ("proxy.", "golang"),
    // The harness swallows it: a test that is left out says so by the testkit's `skip`.
    ("eprintln!(\"SK", "IP"),
    ("eprintln!(\"left ", "out"),
];

/// Sources that people write: by extension, and scripts without one by their first line.
fn sources() -> Vec<PathBuf> {
    let mut files = all_files();
    files.retain(|file| match file.extension().and_then(|one| one.to_str()) {
        Some("rs" | "c" | "h" | "sh" | "py") => true,
        None => text(file).starts_with("#!"),
        _ => false,
    });
    files
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut wrong = Vec::new();
    for file in sources() {
        let text = text(&file);
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let second = lines.next().unwrap_or_default();
        let is_right = match file.extension().and_then(|one| one.to_str()) {
            Some("rs") => first.starts_with("//!"),
            Some("c" | "h") => first.starts_with("/*") || first.starts_with("//"),
            Some("py") => [first, second]
                .iter()
                .any(|line| line.starts_with("\"\"\"") || line.starts_with("# ")),
            _ => second.starts_with("# "),
        };
        if !is_right {
            wrong.push(file.display().to_string());
        }
    }
    judge("every file opens with what it is for", &wrong);
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    let mut lengths = Vec::new();
    for file in sources() {
        let text = text(&file);
        let lines = text.lines().count();
        lengths.push(lines);
        let head: String = text.lines().take(20).collect();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{}: {lines} lines, {LINES_MAX} at most",
                file.display()
            ));
        } else if lines > LINES_FREE && !head.contains(REASON) {
            wrong.push(format!(
                "{}: {lines} lines without `{REASON} …` at its head",
                file.display()
            ));
        }
    }
    judge("files are short", &wrong);
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    let nine_of_ten = lengths[lengths.len() * 9 / 10];
    assert!(median <= LINES_MEDIAN_MAX, "the median is {median} lines");
    assert!(
        nine_of_ten < LINES_FREE,
        "nine of ten are below {nine_of_ten} lines"
    );
}

#[test]
fn words_that_do_not_belong_here() {
    let mut wrong = Vec::new();
    for file in all_files() {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if matches!(
            name,
            "Cargo.lock" | "go.sum" | "go.mod" | "package-lock.json"
        ) {
            continue;
        }
        for (number, line) in text(&file).lines().enumerate() {
            for (start, end) in WORDS {
                if line.contains(&format!("{start}{end}")) {
                    wrong.push(format!("{}:{}: {start}{end}", file.display(), number + 1));
                }
            }
        }
    }
    judge("words that do not belong here", &wrong);
}

#[test]
fn no_room_is_called_after_nothing() {
    let wrong: Vec<_> = all_files()
        .iter()
        .flat_map(|file| file.ancestors().map(Path::to_path_buf).collect::<Vec<_>>())
        .filter(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            matches!(stem, Some("utils" | "util" | "common" | "helpers" | "misc"))
        })
        .map(|path| path.display().to_string())
        .collect();
    judge("a name says what is inside", &wrong);
}

/// Whether a line of code, without what is behind `//`, has the word.
fn has_word(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|each: char| !each.is_alphanumeric() && each != '_')
        .any(|one| one == word)
}

#[test]
fn unsafe_only_beside_the_kernel_and_with_a_reason() {
    let mut wrong = Vec::new();
    for file in sources() {
        if file.extension().is_none_or(|one| one != "rs") || file.starts_with("tests/tidy") {
            continue;
        }
        let may = ["probes", "tests", "benches"]
            .iter()
            .any(|room| file.starts_with(room));
        let text = text(&file);
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !has_word(line, "unsafe") {
                continue;
            }
            let before = &lines[at.saturating_sub(6)..at];
            let has_reason = before
                .iter()
                .any(|line| line.contains("SAFETY") || line.contains("# Safety"));
            if !may || !has_reason {
                wrong.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    judge(
        "unsafe only in probes/, tests/, benches/, each with SAFETY",
        &wrong,
    );
}
