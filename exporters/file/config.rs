//! The options of `file`, with the reason for each default.

use std::path::PathBuf;

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings, Size};

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) path: PathBuf,
    pub(super) max_size: Size,
    pub(super) keep: u32,
    pub(super) community_id: bool,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "path",
        kind: OptKind::Path,
        default: None,
        optional: false,
        help: "the file that is appended to; `-` is standard output",
        why: "nobody can guess it",
    },
    Opt {
        key: "max_size",
        kind: OptKind::Size,
        default: Some("\"100MiB\""),
        optional: false,
        help: "a file that would grow beyond this is renamed to `<path>.1`, and a new one begun",
        why: "half a million spans, still opened by any editor",
    },
    Opt {
        key: "keep",
        kind: OptKind::Integer { min: 0, max: 1_000 },
        default: Some("3"),
        optional: false,
        help: "how many renamed files are kept; 0: the old content is gone",
        why: "with the default size 400 MiB in all: a disk is not filled unasked",
    },
    Opt {
        key: "community_id",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "each span says its Community ID (`flow.community_id`), as Zeek and Suricata compute it",
        why: "only who has such tools needs it",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    match settings.read::<Config>() {
        Ok(config) if config.max_size.0 == 0 => {
            vec![Problem::at("max_size", "must be more than nothing")]
        }
        _ => Vec::new(),
    }
}

/// A line that is being written, and the one before it in the file's cache.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: 4 << 20,
        kernel_bytes: 0,
    }
}

impl Config {
    /// The path is made absolute before it comes here, so the last part says it.
    pub(super) fn is_standard_output(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == "-")
    }
}
