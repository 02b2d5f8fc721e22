//! The options of `tcp`, with the reason for each default.

use serde::Deserialize;
use tapetum_model::Connection;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings, Size};
use tapetum_probes::tcp::Options;

use super::watch::{BATCHES_MAX, ROWS_MAX};
use super::{exclude, listeners, tracked};
use crate::identity;

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) sweep: Duration,
    pub(super) interval: Duration,
    pub(super) max_connections: u32,
    pub(super) exclude: Vec<String>,
    #[serde(default)]
    pub(super) ring: Option<Size>,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "sweep",
        kind: OptKind::Duration,
        default: Some("\"10s\""),
        optional: false,
        help: "how often the counters of every open connection are read",
        why: "metrics move in steps of it; it costs 0.3 µs a connection, so 65 536 cost 0.2 % of a core",
    },
    Opt {
        key: "interval",
        kind: OptKind::Duration,
        default: Some("\"60s\""),
        optional: false,
        help: "a connection that lasts longer sends a span each",
        why: "a long connection is seen within a minute, and most connections are one span",
    },
    Opt {
        key: "max_connections",
        kind: OptKind::Integer {
            min: 16,
            max: 1_000_000,
        },
        default: Some("65_536"),
        optional: false,
        help: "connections that are tracked at once, enforced in the kernel; beyond, they are counted",
        why: "the kernel's storage is charged to this process: about 0.5 KB each, and 0.3 KB here",
    },
    Opt {
        key: "exclude",
        kind: OptKind::List(&OptKind::Choice(&exclude::REASONS)),
        default: Some(r#"["self", "kubelet-probes", "loopback"]"#),
        optional: false,
        help: "what is left out, and counted: the agent's own connections, the kubelet's to pods of this node, those with both ends on a loopback address",
        why: "they are many, regular, and nobody asks for them",
    },
    Opt {
        key: "ring",
        kind: OptKind::Size,
        default: None,
        optional: true,
        help: "size of the ring that the kernel writes into, rounded up to a power of two",
        why: "without it: room for a sweep of `max_connections` and 1 MiB of births and closes besides",
    },
];

/// The least time between two sweeps: below it a sweep of many connections would take most of a core.
const SWEEP_MIN: std::time::Duration = std::time::Duration::from_millis(100);

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if config.sweep.0 < SWEEP_MIN {
        problems.push(Problem::at("sweep", "must be at least 100ms"));
    }
    if config.interval < config.sweep {
        let mut problem = Problem::at("interval", "must not be shorter than `sweep`");
        problem.hint = Some("a span ends with a sweep, so there cannot be more of them".into());
        problems.push(problem);
    }
    for word in &config.exclude {
        if !exclude::REASONS.contains(&word.as_str()) {
            problems.push(Problem::at(
                "exclude",
                format!("`{word}` cannot be left out"),
            ));
        }
    }
    if config
        .ring
        .is_some_and(|ring| ring.0 < 256 << 10 || ring.0 > 1 << 30)
    {
        problems.push(Problem::at("ring", "must be between 256KiB and 1GiB"));
    }
    problems
}

pub(super) fn bound(settings: &Settings) -> Bound {
    let Ok(config) = settings.read::<Config>() else {
        return Bound::default();
    };
    let connections = config.places() as u64 * tracked::BOUND_BYTES;
    let batches = (BATCHES_MAX * ROWS_MAX * size_of::<Connection>()) as u64;
    Bound {
        user_bytes: connections + batches + listeners::BOUND_BYTES + identity::BOUND_BYTES,
        kernel_bytes: config.probe().kernel_bytes(),
    }
}

impl Config {
    /// Places in the table: some more than the kernel tracks, because what closed stays for a moment.
    pub(super) fn places(&self) -> usize {
        let most = self.max_connections as usize;
        most + most / 8 + ROWS_MAX
    }

    /// What the probe needs to know.
    pub(super) fn probe(&self) -> Options {
        Options {
            max_connections: self.max_connections,
            ring_bytes: self
                .ring
                .map(|ring| u32::try_from(ring.0).unwrap_or(1 << 30)),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> Settings {
        let mut table = toml::Table::new();
        for option in OPTIONS {
            if let Some(default) = option.default {
                let line = format!("{} = {default}", option.key);
                let quoted = format!("{} = \"{default}\"", option.key);
                let parsed = line.parse::<toml::Table>().or_else(|_| quoted.parse());
                table.extend(parsed.unwrap());
            }
        }
        table.extend(more.parse::<toml::Table>().unwrap());
        Settings::new(table)
    }

    #[test]
    fn the_defaults_are_those_of_the_documents_and_right() {
        let config: Config = settings("").read().unwrap();
        assert_eq!(config.sweep.0.as_secs(), 10);
        assert_eq!(config.interval.0.as_secs(), 60);
        assert_eq!(config.max_connections, 65_536);
        assert_eq!(config.exclude, ["self", "kubelet-probes", "loopback"]);
        assert_eq!(check(&settings("")), []);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let wrong =
            "sweep = \"10ms\"\ninterval = \"5ms\"\nexclude = [\"kubelet\"]\nring = \"4KiB\"";
        let problems = check(&settings(wrong));
        let keys: Vec<_> = problems
            .iter()
            .map(|problem| problem.path[0].as_str())
            .collect();
        assert_eq!(keys, ["sweep", "interval", "exclude", "ring"]);
    }

    #[test]
    fn the_bound_grows_with_the_connections() {
        let (some, more) = (
            bound(&settings("")),
            bound(&settings("max_connections = 131_072")),
        );
        assert!(more.user_bytes > some.user_bytes && more.kernel_bytes > some.kernel_bytes);
        assert!(some.user_bytes < 48 << 20, "{some:?}");
        assert!(some.kernel_bytes < 64 << 20, "{some:?}");
    }
}
