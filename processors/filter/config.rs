//! The options of `filter`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings};

use super::condition::Rule;

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) keep: Vec<RuleConfig>,
    pub(super) drop: Vec<RuleConfig>,
}

/// A rule: all of it must hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleConfig {
    #[serde(default)]
    pub(super) signal: Option<String>,
    #[serde(default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, rename = "where")]
    pub(super) conditions: Vec<ConditionConfig>,
}

/// A condition on one attribute.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionConfig {
    pub(super) attribute: String,
    #[serde(default)]
    pub(super) equal: Option<String>,
    #[serde(default)]
    pub(super) prefix: Option<String>,
    #[serde(default)]
    pub(super) cidr: Option<String>,
    #[serde(default)]
    pub(super) range: Option<String>,
    #[serde(default)]
    pub(super) not: bool,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "keep",
        kind: OptKind::List(&OptKind::Table(RULE)),
        default: Some("[]"),
        optional: false,
        help: "if there is any: only what one of these holds for goes on",
        why: "what nobody speaks of goes on",
    },
    Opt {
        key: "drop",
        kind: OptKind::List(&OptKind::Table(RULE)),
        default: Some("[]"),
        optional: false,
        help: "what one of these holds for does not go on, whatever `keep` says",
        why: "what nobody speaks of goes on",
    },
];

const RULE: &[Opt] = &[
    Opt {
        key: "signal",
        kind: OptKind::Choice(&["connections", "points", "traces", "metrics", "logs"]),
        default: None,
        optional: true,
        help: "only of this signal",
        why: "without it of any",
    },
    Opt {
        key: "kind",
        kind: OptKind::Choice(&["client", "server", "internal", "producer", "consumer"]),
        default: None,
        optional: true,
        help: "only spans of this kind, and the ends of connections that connected (`client`) or accepted (`server`)",
        why: "without it of any",
    },
    Opt {
        key: "name",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "only spans, or metrics, of this name",
        why: "without it of any",
    },
    Opt {
        key: "where",
        kind: OptKind::List(&OptKind::Table(CONDITION)),
        default: Some("[]"),
        optional: false,
        help: "conditions on attributes; all of them must hold",
        why: "signal, kind and name may be enough",
    },
];

const CONDITION: &[Opt] = &[
    Opt {
        key: "attribute",
        kind: OptKind::Text,
        default: None,
        optional: false,
        help: "its name, as it leaves: `server.port`, `source.k8s.namespace.name`",
        why: "",
    },
    Opt {
        key: "equal",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "its value is this; a number as it is written",
        why: "without any test it is enough that the attribute is there",
    },
    Opt {
        key: "prefix",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "its value begins with this",
        why: "",
    },
    Opt {
        key: "cidr",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "its value is an address of this network",
        why: "",
    },
    Opt {
        key: "range",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "its value is a number of this range, ends included: `1..1023`, `1024..`",
        why: "",
    },
    Opt {
        key: "not",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "it holds where the test does not; also where the attribute is not there",
        why: "most rules say what something is",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new(); // The types were checked: it reads.
    };
    let mut problems = Vec::new();
    for (list, rules) in [("keep", &config.keep), ("drop", &config.drop)] {
        for (at, rule) in rules.iter().enumerate() {
            if let Err(fault) = Rule::new(rule) {
                let mut path = vec![list.to_owned(), at.to_string()];
                path.extend(fault.path);
                problems.push(Problem {
                    path,
                    message: fault.message,
                    hint: Some(fault.hint.to_owned()),
                });
            }
        }
    }
    if config.keep.is_empty() && config.drop.is_empty() {
        problems.push(Problem {
            path: Vec::new(),
            message: "it has neither `keep` nor `drop`: everything would go on".to_owned(),
            hint: Some("add a rule, or take it out of the pipelines".to_owned()),
        });
    }
    problems
}

pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        // Two requests of the size that a receiver takes at most are there at once while one is edited.
        user_bytes: 8 << 20,
        kernel_bytes: 0,
    }
}
