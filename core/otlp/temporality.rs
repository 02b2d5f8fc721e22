//! Since when a value counts: since its series began, or since the last flush.
//!
//! Delta is for backends that add up by themselves. A lost message is then a hole, and two flushes
//! into one exporter must come from one `aggregate`; cumulative has neither trouble.

use std::borrow::Cow;

use tapetum_model::{Instrument, Metric, Point, PointValue, UnixNanos};

/// How sums and histograms are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// Since the series began.
    #[default]
    Cumulative,
    /// Since the last flush. What grows and shrinks stays cumulative, as OpenTelemetry advises.
    Delta,
}

impl Temporality {
    /// Its number in OTLP, for the points of a metric.
    pub(crate) fn of(self, metric: Metric) -> u8 {
        if self.is_delta(metric) { 1 } else { 2 }
    }

    /// The point as it is to be said; `None` where there is
    /// nothing to say: no value was observed since `last_flush`, or the series ended. Zero is said.
    pub(crate) fn apply(self, point: &Point, last_flush: UnixNanos) -> Option<Cow<'_, Point>> {
        if !self.is_delta(point.metric) {
            return Some(Cow::Borrowed(point));
        }
        let value = match &point.value {
            PointValue::Ended => return None,
            PointValue::Sum { delta, .. } => PointValue::Sum {
                cumulative: *delta,
                delta: *delta,
            },
            PointValue::Histogram { delta, .. } => PointValue::Histogram {
                cumulative: delta.clone()?,
                delta: delta.clone(),
            },
            gauge @ PointValue::Gauge(_) => gauge.clone(),
        };
        Some(Cow::Owned(Point {
            start: point.start.max(last_flush),
            value,
            ..point.clone()
        }))
    }

    fn is_delta(self, metric: Metric) -> bool {
        let adds = matches!(
            metric.instrument(),
            Instrument::Counter | Instrument::Histogram
        );
        self == Self::Delta && adds
    }
}
