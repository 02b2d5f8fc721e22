//! The options of `prometheus`, with the reason for each default.

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings};

use super::serve::{CONNECTIONS_MAX, SCRAPES_MAX};

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) listen: String,
    pub(super) created: bool,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "listen",
        kind: OptKind::Listen,
        default: Some("\"0.0.0.0:9464\""),
        optional: false,
        help: "where `/metrics` is served",
        why: "the port that OpenTelemetry's own Prometheus exporters use; a scraper comes from another host",
    },
    Opt {
        key: "created",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "also say in OpenMetrics text since when each series counts (`_created`)",
        why: "it doubles the samples of counters, and a scraper that uses start times asks for protobuf, where they always are",
    },
];

pub(super) fn check(_: &Settings) -> Vec<Problem> {
    Vec::new()
}

const CONNECTION_BYTES: u64 = 96 << 10;
const SCRAPE_BYTES: u64 = 8 << 20;

/// A page is written as it is read: what a scrape holds is the points, and of protobuf one family.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: CONNECTIONS_MAX as u64 * CONNECTION_BYTES + SCRAPES_MAX as u64 * SCRAPE_BYTES,
        kernel_bytes: 0,
    }
}
