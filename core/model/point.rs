//! Metric points: what `aggregate` makes of records, and what Tapetum says of itself.

use std::sync::Arc;

use crate::{Attr, ExponentialHistogram, Metric, SpanId, TraceId, UnixNanos, Value};

/// The identity of a series beyond its metric: made once a series, shared by all its points.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub Box<[(Attr, Value)]>);

/// One value of one series at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which metric.
    pub metric: Metric,
    /// Which series of it.
    pub attributes: Arc<Attributes>,
    /// Since when a cumulative value counts.
    pub start: UnixNanos,
    /// When the value was true.
    pub time: UnixNanos,
    /// The value.
    pub value: PointValue,
    /// One measurement behind the value, if one is known.
    pub exemplar: Option<Exemplar>,
}

/// A value, cumulative since the point's start and, where it can be summed, since the last flush.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    /// Of a counter or an up-down counter.
    Sum {
        /// Since `start`.
        cumulative: i64,
        /// Since the last flush.
        delta: i64,
    },
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram {
        /// Since `start`.
        cumulative: Arc<ExponentialHistogram>,
        /// Since the last flush; `None` where nothing was added.
        delta: Option<Arc<ExponentialHistogram>>,
    },
    /// The series has ended: no value, and none will come under this start time.
    Ended,
}

/// A measurement that stands for many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The span that it was measured in.
    pub trace: TraceId,
    /// See `trace`.
    pub span: SpanId,
    /// What was measured.
    pub value: f64,
    /// When.
    pub time: UnixNanos,
}
