//! The options of `sample`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Rate, Settings};

/// What a file may say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) keep_errors: bool,
    pub(super) per_second: u32,
    #[serde(default)]
    pub(super) ratio: Option<Rate>,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "keep_errors",
        kind: OptKind::Bool,
        default: Some("true"),
        optional: false,
        help: "keep every span that ended in an error, beyond the rate",
        why: "they are few, and they are what is looked for",
    },
    Opt {
        key: "per_second",
        kind: OptKind::Integer {
            min: 0,
            max: 1_000_000,
        },
        default: Some("50"),
        optional: false,
        help: "how many other spans a second this node keeps; 0: as many as there are",
        why: "4 million spans a day and node: what a backend of one machine takes from some nodes",
    },
    Opt {
        key: "ratio",
        kind: OptKind::Rate,
        default: None,
        optional: true,
        help: "keep at most this share of the traces, however few there are",
        why: "with it, and `per_second = 0`, every node keeps exactly the same traces",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    if config.ratio != Some(Rate(0.0)) {
        return Vec::new();
    }
    let mut problem = Problem::at("ratio", "must be more than 0%");
    problem.hint = Some("to send no spans, leave the pipeline's span exporter out".into());
    vec![problem]
}

/// It holds a handful of numbers.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: 1_024,
        kernel_bytes: 0,
    }
}
