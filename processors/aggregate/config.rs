//! The options of `aggregate`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings};

use super::way::{WAY_BYTES, WAYS_MAX};
use super::{ENDS_MAX, HELD_MAX, HISTOGRAMS_OF};

/// What a file may say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) series: usize,
    pub(super) pods: bool,
    pub(super) flush: Duration,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "series",
        kind: OptKind::Integer {
            min: 16,
            max: 10_000_000,
        },
        default: Some("20_000"),
        optional: false,
        help: "how many series may live at once; what is new beyond them adds to series whose ends are `~other`",
        why: "a node that talks to 1 000 workloads has about 10 000 series; twice that is room, and a backend can carry it from every node",
    },
    Opt {
        key: "pods",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "also tell pods and nodes apart, not only workloads",
        why: "pods come and go: their names multiply the series that a backend must keep",
    },
    Opt {
        key: "flush",
        kind: OptKind::Duration,
        default: Some("\"10s\""),
        optional: false,
        help: "how often points are sent to exporters that are sent to; a scrape needs none",
        why: "as often as the connections are swept: more often would repeat values",
    },
];

const SERIES_BYTES: u64 = 1_280;
const HISTOGRAM_BYTES: u64 = 4_352;
const END_BYTES: u64 = 640;
const HELD_BYTES: u64 = 40;

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let seconds = config.flush.0.as_secs_f64();
    if (0.1..=300.0).contains(&seconds) {
        return Vec::new();
    }
    let mut problem = Problem::at("flush", "must be between 100ms and 5m");
    problem.hint = Some(
        "backends take a series that is silent for longer than 5m as ended; 10s is usual".into(),
    );
    vec![problem]
}

/// At worst there are as many histograms as may be, each with all its buckets, cumulative and since the
/// last flush.
pub(super) fn bound(settings: &Settings) -> Bound {
    let series = settings
        .read::<Config>()
        .map_or(0, |config| config.series as u64);
    Bound {
        user_bytes: series * SERIES_BYTES
            + series / HISTOGRAMS_OF as u64 * HISTOGRAM_BYTES
            + ENDS_MAX as u64 * END_BYTES
            + HELD_MAX as u64 * HELD_BYTES
            + WAYS_MAX as u64 * WAY_BYTES,
        kernel_bytes: 0,
    }
}
