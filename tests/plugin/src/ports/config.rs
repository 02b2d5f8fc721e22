//! The options of `ports`, with the reason for each default.

use serde::Deserialize;
use tapetum::pipeline::{Bound, Opt, OptKind, Problem, Settings};

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) keep: Vec<i64>,
}

pub(super) const OPTIONS: &[Opt] = &[Opt {
    key: "keep",
    kind: OptKind::List(&OptKind::Integer {
        min: 1,
        max: 65_535,
    }),
    default: None,
    optional: false,
    help: "the server ports whose connections go on",
    why: "nobody can guess them",
}];

/// What types cannot say. It must not touch the world: `tapetum validate` calls it too.
pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    match settings.read::<Config>() {
        Ok(config) if config.keep.is_empty() => {
            let mut problem = Problem::at("keep", "with no port nothing goes on");
            problem.hint = Some("name at least one, for example [443]".to_owned());
            vec![problem]
        }
        _ => Vec::new(),
    }
}

/// One choice a row of the batch that passes.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: 64 << 10,
        kernel_bytes: 0,
    }
}
