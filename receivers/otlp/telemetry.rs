//! What became of requests, and how many connections there are.

use tapetum_model::{Attr, Metric};
use tapetum_pipeline::{Counter, Gauge, Telemetry};

use super::refusal::Why;

pub(super) const METRICS: &[&str] = &[
    "tapetum.receive.requests",
    "tapetum.receive.connections",
    "tapetum.receive.turned_away",
];

/// Every outcome is there from the start, so that a first error is a step and not a new series.
const ANSWERS: [Why; 9] = [
    Why::Malformed,
    Why::TooLarge,
    Why::Unsupported,
    Why::Unknown,
    Why::Method,
    Why::Slow,
    Why::Busy(std::time::Duration::ZERO),
    Why::Crowded,
    Why::Gone,
];

pub(super) struct Counts {
    ok: Counter,
    refused: Vec<(&'static str, Counter)>,
    pub(super) connections: Gauge,
    turned_away: Vec<(&'static str, Counter)>,
}

/// Why a connection is not served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// There are too many.
    Full,
    /// The handshake of TLS failed.
    Tls,
    /// It speaks nothing that is spoken here, or says nothing in time.
    Protocol,
}

impl Counts {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let by = |metric, reason| telemetry.counter(metric, &[(Attr::Reason, reason)]);
        let requests = |reason| by(Metric::ReceiveRequests, reason);
        let away = |reason| (reason, by(Metric::ReceiveTurnedAway, reason));
        Self {
            ok: requests("ok"),
            refused: ANSWERS
                .iter()
                .map(|why| (why.name(), requests(why.name())))
                .collect(),
            connections: telemetry.gauge(Metric::ReceiveConnections, &[]),
            turned_away: ["full", "tls", "protocol"].map(away).into(),
        }
    }

    pub(super) fn taken(&self) {
        self.ok.add(1);
    }

    pub(super) fn refused(&self, why: Why) {
        add(&self.refused, why.name());
    }

    pub(super) fn turned_away(&self, why: TurnedAway) {
        let name = match why {
            TurnedAway::Full => "full",
            TurnedAway::Tls => "tls",
            TurnedAway::Protocol => "protocol",
        };
        add(&self.turned_away, name);
    }
}

fn add(counters: &[(&'static str, Counter)], name: &str) {
    for (_, counter) in counters.iter().filter(|(known, _)| *known == name) {
        counter.add(1);
    }
}
