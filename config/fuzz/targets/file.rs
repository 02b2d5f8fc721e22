//! Whatever is in a file: an answer, never a panic, and a report that can be printed.

#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tapetum_config::{Source, World, load};
use tapetum_pipeline::{
    Bound, Build, BuildError, Component, Context, Gives, Opt, OptKind, Settings,
};

/// An option of every kind.
static OPTIONS: &[Opt] = &[
    opt("duration", OptKind::Duration),
    opt("size", OptKind::Size),
    opt("integer", OptKind::Integer { min: 1, max: 9 }),
    opt("rate", OptKind::Rate),
    opt("bool", OptKind::Bool),
    opt("text", OptKind::Text),
    opt("secret", OptKind::Secret),
    opt("path", OptKind::Path),
    opt("listen", OptKind::Listen),
    opt("url", OptKind::Url),
    opt("choice", OptKind::Choice(&["one", "two"])),
    opt("list", OptKind::List(&OptKind::Duration)),
    opt("map", OptKind::Map(&OptKind::Secret)),
];

static ANY: Component = Component {
    name: "any",
    summary: "has an option of every kind",
    takes: &[],
    gives: Gives::These(&[]),
    options: OPTIONS,
    metrics: &[],
    example: "",
    check: |_| Vec::new(),
    bound: |_| Bound {
        user_bytes: 0,
        kernel_bytes: 0,
    },
    build: Build::Receiver(build),
};

const fn opt(key: &'static str, kind: OptKind) -> Opt {
    Opt {
        key,
        kind,
        default: None,
        optional: true,
        help: "",
        why: "",
    }
}

fn build<T>(_: &Settings, _: &Context) -> Result<T, BuildError> {
    Err(BuildError::new("only looked at"))
}

/// Variables and files that hold what they are called.
struct Echo;

impl World for Echo {
    fn variable(&self, name: &str) -> Option<String> {
        (name.len() < 8).then(|| name.to_owned())
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        Ok(path.display().to_string())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if let Err(report) = load(vec![Source::new("file.toml", text)], &[&ANY], &Echo) {
        assert!(report.errors() > 0);
        assert!(!report.render(true).is_empty());
    }
});
