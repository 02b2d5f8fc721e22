//! The options of `memory_limiter`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Rate, Settings, Size};

/// What a file may say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) soft: Rate,
    pub(super) hard: Rate,
    pub(super) hysteresis: Rate,
    #[serde(default)]
    pub(super) limit: Option<Size>,
    pub(super) check: Duration,
    pub(super) retry: Duration,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "soft",
        kind: OptKind::Rate,
        default: Some("\"80%\""),
        optional: false,
        help: "from this share on senders are refused and receivers of the kernel's told to coarsen",
        why: "the fifth that is left takes what is under way when it is noticed",
    },
    Opt {
        key: "hard",
        kind: OptKind::Rate,
        default: Some("\"90%\""),
        optional: false,
        help: "from this share on what the kernel tells goes on as measures only, without spans",
        why: "a tenth before the kernel would end the process",
    },
    Opt {
        key: "hysteresis",
        kind: OptKind::Rate,
        default: Some("\"5%\""),
        optional: false,
        help: "so far below a limit it goes back",
        why: "more than what comes and goes between two looks, so that it does not swing",
    },
    Opt {
        key: "limit",
        kind: OptKind::Size,
        default: None,
        optional: true,
        help: "what the shares are of",
        why: "without it `service.memory`, which is less where the control group allows less",
    },
    Opt {
        key: "check",
        kind: OptKind::Duration,
        default: Some("\"100ms\""),
        optional: false,
        help: "how often it looks, beside at each batch",
        why: "so that it opens again although nothing comes",
    },
    Opt {
        key: "retry",
        kind: OptKind::Duration,
        default: Some("\"1s\""),
        optional: false,
        help: "when a sender that is refused is told to come back",
        why: "queues drain within seconds; sooner would cost what is saved",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new(); // The types were checked: it reads.
    };
    let mut problems = Vec::new();
    let mut say = |key: &str, message: &str, hint: &str| {
        problems.push(Problem {
            hint: Some(hint.to_owned()),
            ..Problem::at(key, message)
        });
    };
    if config.soft.0 <= 0.0 {
        say(
            "soft",
            "`soft` refuses everything",
            "write for example \"80%\"",
        );
    }
    if config.hard.0 < config.soft.0 {
        say(
            "hard",
            "`hard` is below `soft`",
            "make `hard` the higher one",
        );
    }
    if config.hysteresis.0 >= config.soft.0 {
        say(
            "hysteresis",
            "`hysteresis` is not below `soft`: it would never go back",
            "write for example \"5%\"",
        );
    }
    if config.limit.is_some_and(|size| size.0 == 0) {
        say(
            "limit",
            "`limit` is nothing",
            "write for example \"256MiB\", or leave it out",
        );
    }
    if config.check.0 < std::time::Duration::from_millis(10) {
        say(
            "check",
            "`check` is shorter than 10ms",
            "write for example \"100ms\"",
        );
    }
    problems
}

pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: 1024,
        kernel_bytes: 0,
    }
}
