//! The options of `debug`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings};

use super::live;

/// What a file may say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) format: Format,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// A table on a terminal, lines otherwise.
    Auto,
    /// One line an event.
    Lines,
    /// A table that is drawn again and again.
    Table,
}

pub(super) const OPTIONS: &[Opt] = &[Opt {
    key: "format",
    kind: OptKind::Choice(&["auto", "lines", "table"]),
    default: Some("\"auto\""),
    optional: false,
    help: "`lines`: one a span or metric point; `table`: who talks to whom, live; `auto`: a table on a terminal, lines otherwise",
    why: "a person wants to watch, a program wants lines",
}];

pub(super) fn check(_: &Settings) -> Vec<Problem> {
    Vec::new()
}

/// The table, and a batch as text.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: live::PAIRS_MAX as u64 * 1_024 + (1 << 20),
        kernel_bytes: 0,
    }
}
