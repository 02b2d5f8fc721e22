//! The options of `batch`, with the reason for each default.

use std::time::Duration as Time;

use serde::Deserialize;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings, Size};

/// What a file may say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) bytes: Size,
    pub(super) wait: Duration,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "bytes",
        kind: OptKind::Size,
        default: Some("\"4MiB\""),
        optional: false,
        help: "a batch goes on when it is so large; what came larger is cut",
        why: "what a gRPC server takes at most unless it was told otherwise",
    },
    Opt {
        key: "wait",
        kind: OptKind::Duration,
        default: Some("\"200ms\""),
        optional: false,
        help: "a batch goes on after so long, however small it is",
        why: "nobody who looks at a screen sees it, and a backend gets five requests a second at least",
    },
];

/// Smaller batches are none: a single span may be as large.
const BYTES_MIN: u64 = 16 << 10;
/// No server takes larger requests, and a queue of ours holds some of them.
const BYTES_MAX: u64 = 64 << 20;
/// A sender's own time-out is ten seconds.
const WAIT_MAX: Time = Time::from_secs(10);
/// Connections, and the three signals of OTLP.
const KINDS: u64 = 4;

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if !(BYTES_MIN..=BYTES_MAX).contains(&config.bytes.0) {
        let between = format!(
            "must be between {} and {}",
            Size(BYTES_MIN),
            Size(BYTES_MAX)
        );
        problems.push(Problem::at("bytes", between));
    }
    if config.wait.0.is_zero() || config.wait.0 > WAIT_MAX {
        let most = format!("must be more than nothing and at most {WAIT_MAX:?}");
        problems.push(Problem::at("wait", most));
    }
    problems
}

/// `bytes` a kind, and once more for one that is being cut.
pub(super) fn bound(settings: &Settings) -> Bound {
    let bytes = settings
        .read::<Config>()
        .map_or(BYTES_MAX, |config| config.bytes.0);
    Bound {
        user_bytes: (KINDS + 1) * bytes,
        kernel_bytes: 0,
    }
}
