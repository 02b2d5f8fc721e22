//! Metric points -> the bytes of `ExportMetricsServiceRequest`: one resource (the agent), one scope,
//! cumulative with start times, or since the last flush where that is asked for.

use tapetum_model::{
    Exemplar, ExponentialHistogram, Instrument, Metric, Point, PointValue, UnixNanos, Value,
};

use super::wire::{Attributes, Nested, bytes, fixed64, varint, zigzag};
use super::{MESSAGE_BYTES_MAX, Message, finished};
use crate::by_metric::ByMetric;
use crate::names::MetricName;
use crate::span::EndFields as _;
use crate::{Agent, Temporality, names};

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`
const NO_RECORDED_VALUE: u8 = 1;
/// What a point takes about, to reserve room.
const POINT_BYTES: usize = 384;
const FRAME: usize = 64;

/// Writes metric points.
pub struct PointEncoder {
    /// The resource and the begin of the scope, encoded: they never change.
    resource: Vec<u8>,
    scope: Vec<u8>,
    by_metric: ByMetric,
    /// One point, before its length is known.
    point: Vec<u8>,
    pub(super) message_bytes_max: usize,
    temporality: Temporality,
    last_flush: UnixNanos,
}

/// A message that is being written, and what is open in it.
struct Open {
    out: Vec<u8>,
    items: u64,
    of_resource: Nested,
    of_scope: Nested,
    metric: Option<(Nested, Nested)>,
}

impl PointEncoder {
    /// An encoder for this agent's points.
    #[must_use]
    pub fn new(agent: &Agent) -> Self {
        let mut resource = Vec::new();
        for (attr, value) in agent.attributes() {
            let out = &mut resource;
            Attributes { out, tag: 0x0a }.named(names::parts(&attr), &value);
        }
        let mut scope = Vec::new();
        bytes(&mut scope, 0x0a, names::SCOPE.as_bytes());
        bytes(&mut scope, 0x12, agent.version.as_bytes());
        Self {
            resource,
            scope,
            by_metric: ByMetric::default(),
            point: Vec::new(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            temporality: Temporality::default(),
            last_flush: UnixNanos::default(),
        }
    }

    /// How sums and histograms are said.
    #[must_use]
    pub fn with_temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }

    /// Writes the points, those of one metric together; answers how many had nothing to say.
    pub fn encode(&mut self, points: &[Point], mut give: impl FnMut(Message)) -> u64 {
        let mut by_metric = std::mem::take(&mut self.by_metric);
        by_metric.find(points);
        let mut message: Option<Open> = None;
        let (mut left, mut silent) = (points.len(), 0);
        for metric in names::METRICS {
            let mut begun = false;
            for at in by_metric.of(metric) {
                let Some(point) = self.temporality.apply(&points[at], self.last_flush) else {
                    silent += 1;
                    continue;
                };
                self.point.clear();
                write(&point, &mut self.point);
                let full = message.as_ref().is_some_and(|message| {
                    message.out.len() + self.point.len() + FRAME > self.message_bytes_max
                });
                if let Some(full) = message.take_if(|_| full) {
                    give(full.close());
                    begun = false;
                }
                let open = message.get_or_insert_with(|| self.open(left));
                if !begun {
                    open.begin(metric, self.temporality);
                    begun = true;
                }
                bytes(&mut open.out, 0x0a, &self.point);
                open.items += 1;
                left -= 1;
            }
            if let Some(message) = &mut message {
                message.end_metric();
            }
        }
        if let Some(message) = message {
            give(message.close());
        }
        self.by_metric = by_metric;
        let flushed = points.iter().map(|point| point.time).max();
        self.last_flush = self.last_flush.max(flushed.unwrap_or_default());
        silent
    }

    fn open(&self, points: usize) -> Open {
        let expected = (points * POINT_BYTES).min(self.message_bytes_max);
        let mut out = Vec::with_capacity(expected + FRAME);
        let of_resource = Nested::begin(&mut out, 0x0a, expected);
        bytes(&mut out, 0x0a, &self.resource);
        let of_scope = Nested::begin(&mut out, 0x12, expected);
        bytes(&mut out, 0x0a, &self.scope);
        Open {
            out,
            items: 0,
            of_resource,
            of_scope,
            metric: None,
        }
    }
}

impl Open {
    fn begin(&mut self, metric: Metric, temporality: Temporality) {
        let out = &mut self.out;
        let MetricName {
            name,
            description,
            unit,
            ..
        } = names::metric(metric);
        let of_metric = Nested::begin(out, 0x12, 1 << 14);
        bytes(out, 0x0a, name.as_bytes());
        bytes(out, 0x12, description.as_bytes());
        bytes(out, 0x1a, unit.as_bytes());
        let data = match metric.instrument() {
            Instrument::Gauge => Nested::begin(out, 0x2a, 1 << 14),
            Instrument::Histogram => {
                let data = Nested::begin(out, 0x52, 1 << 14);
                out.extend_from_slice(&[0x10, temporality.of(metric)]);
                data
            }
            Instrument::Counter => {
                let data = Nested::begin(out, 0x3a, 1 << 14);
                out.extend_from_slice(&[0x10, temporality.of(metric), 0x18, 1]);
                data
            }
            Instrument::UpDownCounter => {
                let data = Nested::begin(out, 0x3a, 1 << 14);
                out.extend_from_slice(&[0x10, temporality.of(metric)]);
                data
            }
        };
        self.metric = Some((of_metric, data));
    }

    fn end_metric(&mut self) {
        if let Some((of_metric, data)) = self.metric.take() {
            data.end(&mut self.out);
            of_metric.end(&mut self.out);
        }
    }

    fn close(mut self) -> Message {
        self.end_metric();
        self.of_scope.end(&mut self.out);
        self.of_resource.end(&mut self.out);
        Message {
            items: self.items,
            bytes: finished(self.out),
        }
    }
}

/// Writes a data point; which message it is follows from the metric's instrument.
fn write(point: &Point, out: &mut Vec<u8>) {
    let histogram = point.metric.instrument() == Instrument::Histogram;
    let (attributes, flags) = if histogram {
        (0x0a, 0x50)
    } else {
        (0x3a, 0x40)
    };
    fixed64(out, 0x11, point.start.0);
    fixed64(out, 0x19, point.time.0);
    for (attr, value) in &point.attributes.0 {
        let mut to = Attributes {
            out,
            tag: attributes,
        };
        match value {
            Value::Static(text) => to.named(names::parts(attr), text),
            Value::Text(text) => to.named(names::parts(attr), text),
            Value::Int(number) => to.int_named(names::parts(attr), *number as u64),
        }
    }
    match &point.value {
        PointValue::Sum { cumulative, .. } => match names::metric(point.metric).per_unit {
            1 => fixed64(out, 0x31, *cumulative as u64),
            per_unit => {
                let value = *cumulative as f64 / f64::from(per_unit);
                fixed64(out, 0x21, value.to_bits());
            }
        },
        PointValue::Gauge(value) => {
            let value = value / f64::from(names::metric(point.metric).per_unit);
            fixed64(out, 0x21, value.to_bits());
        }
        PointValue::Histogram { cumulative, .. } => distribution(cumulative, out),
        PointValue::Ended => out.extend_from_slice(&[flags, NO_RECORDED_VALUE]),
    }
    if let Some(of) = &point.exemplar {
        exemplar(of, if histogram { 0x5a } else { 0x2a }, out);
    }
}

fn distribution(of: &ExponentialHistogram, out: &mut Vec<u8>) {
    fixed64(out, 0x21, of.count);
    fixed64(out, 0x29, of.sum.to_bits());
    out.push(0x30);
    varint(out, zigzag(of.scale));
    fixed64(out, 0x39, of.zero_count);
    if !of.buckets.is_empty() {
        let positive = Nested::begin(out, 0x42, of.buckets.len() + 8);
        out.push(0x08);
        varint(out, zigzag(of.offset));
        let counts = Nested::begin(out, 0x12, of.buckets.len());
        for count in &of.buckets {
            varint(out, *count);
        }
        counts.end(out);
        positive.end(out);
    }
    if of.count > 0 {
        fixed64(out, 0x61, of.min.to_bits());
        fixed64(out, 0x69, of.max.to_bits());
    }
}

fn exemplar(of: &Exemplar, tag: u8, out: &mut Vec<u8>) {
    let nested = Nested::begin(out, tag, 48);
    fixed64(out, 0x11, of.time.0);
    fixed64(out, 0x19, of.value.to_bits());
    bytes(out, 0x22, &of.span.0);
    bytes(out, 0x2a, &of.trace.0);
    nested.end(out);
}
