//! The options of `attributes`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings};

use super::edit::Action;
use super::entities::ENTITIES_MAX;

/// What a file may say.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) actions: Vec<ActionConfig>,
    #[serde(default)]
    pub(super) salt: Option<String>,
}

/// One action.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionConfig {
    #[serde(rename = "do")]
    pub(super) what: String,
    pub(super) attribute: String,
    #[serde(default)]
    pub(super) value: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    #[serde(default)]
    pub(super) on: Option<String>,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "actions",
        kind: OptKind::List(&OptKind::Table(ACTION)),
        default: None,
        optional: false,
        help: "what is done, in this order",
        why: "",
    },
    Opt {
        key: "salt",
        kind: OptKind::Secret,
        default: None,
        optional: true,
        help: "what `hash` mixes into each value",
        why: "without it whoever guesses a value can see that it was right",
    },
];

const ACTION: &[Opt] = &[
    Opt {
        key: "do",
        kind: OptKind::Choice(&["insert", "update", "delete", "hash", "rename"]),
        default: None,
        optional: false,
        help: "`insert` where it is not there, the others where it is",
        why: "",
    },
    Opt {
        key: "attribute",
        kind: OptKind::Text,
        default: None,
        optional: false,
        help: "which attribute",
        why: "",
    },
    Opt {
        key: "value",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "of `insert` and `update`: its value, a text",
        why: "",
    },
    Opt {
        key: "to",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "of `rename`: its new name; one that was called so makes way",
        why: "",
    },
    Opt {
        key: "on",
        kind: OptKind::Choice(&["resource", "item"]),
        default: None,
        optional: true,
        help: "only attributes of the resource, or of the span, log record or data point",
        why: "without it `insert` is into the resource, and the others are wherever the attribute is",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new(); // The types were checked: it reads.
    };
    let mut problems = Vec::new();
    let mut say = |path: &[&str], message: String, hint: &str| {
        problems.push(Problem {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            message,
            hint: Some(hint.to_owned()),
        });
    };
    if config.actions.is_empty() {
        say(
            &["actions"],
            "there is no action".to_owned(),
            "add one, or take the component out",
        );
    }
    for (at, action) in config.actions.iter().enumerate() {
        let at = at.to_string();
        if action.attribute.is_empty() {
            let message = "`attribute` is empty".to_owned();
            say(
                &["actions", &at, "attribute"],
                message,
                "write the name of an attribute",
            );
        }
        if let Err((key, message)) = Action::new(action, "") {
            say(
                &["actions", &at, key],
                message,
                "`insert` and `update` have a `value`, `rename` has a `to`",
            );
        }
    }
    problems
}

pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        // Two requests of the size that a receiver takes at most are there at once while one is edited;
        // an entity has some ten short attributes, and is there as it came and as it goes.
        user_bytes: (8 << 20) + ENTITIES_MAX as u64 * 2 * 1024,
        kernel_bytes: 0,
    }
}
