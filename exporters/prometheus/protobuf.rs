//! The protobuf format: delimited `io.prometheus.client.MetricFamily` messages, whose histograms are
//! native and classic at once; a scraper takes the one that it is set up for.

use tapetum_model::{Attr, Exemplar, ExponentialHistogram, Instrument, Metric, Point, PointValue};
use tapetum_model::{UnixNanos, Value};
use tapetum_otlp::{Agent, names};

use super::page::{bounds, cumulative};
use super::text::{TARGET_HELP, hex, label_name, unit};

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const HISTOGRAM: u64 = 4;

/// Up to here a value counts as zero: far below what any of our histograms holds, and not 0, by which
/// Prometheus tells an empty native histogram from none.
const ZERO_THRESHOLD: f64 = 1.0 / (1u128 << 127) as f64;

/// The finest and the coarsest resolution that Prometheus knows.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// What the agent is.
pub(super) fn target(out: &mut Vec<u8>, agent: &Agent) {
    delimited(out, |out| {
        text(out, 1, "target_info");
        text(out, 2, TARGET_HELP);
        number(out, 3, GAUGE);
        nested(out, 4, |out| {
            for (attr, value) in agent.attributes() {
                label(out, &attr, &value);
            }
            nested(out, 2, |out| double(out, 1, 1.0));
        });
    });
}

/// All series of a metric.
pub(super) fn family(out: &mut Vec<u8>, metric: Metric, points: &[Point]) {
    let known = names::metric(metric);
    delimited(out, |out| {
        text(out, 1, known.prometheus);
        text(out, 2, known.description);
        let kind = match metric.instrument() {
            Instrument::Counter => COUNTER,
            Instrument::Histogram => HISTOGRAM,
            Instrument::Gauge | Instrument::UpDownCounter => GAUGE,
        };
        number(out, 3, kind);
        for point in points {
            nested(out, 4, |out| series(out, point, f64::from(known.per_unit)));
        }
        let name = known.prometheus;
        if let Some(unit) = unit(name.strip_suffix("_total").unwrap_or(name)) {
            text(out, 5, unit);
        }
    });
}

fn series(out: &mut Vec<u8>, point: &Point, per_unit: f64) {
    for (attr, value) in &point.attributes.0 {
        match value {
            Value::Static(value) => label(out, attr, value),
            Value::Text(value) => label(out, attr, value),
            Value::Int(value) => label(out, attr, &value.to_string()),
        }
    }
    match &point.value {
        PointValue::Sum { cumulative, .. } if point.metric.instrument() == Instrument::Counter => {
            nested(out, 3, |out| {
                double(out, 1, *cumulative as f64 / per_unit);
                if let Some(known) = &point.exemplar {
                    nested(out, 2, |out| exemplar(out, known));
                }
                nested(out, 3, |out| timestamp(out, point.start));
            });
        }
        PointValue::Sum { cumulative, .. } => {
            nested(out, 2, |out| double(out, 1, *cumulative as f64 / per_unit));
        }
        PointValue::Gauge(value) => nested(out, 2, |out| double(out, 1, value / per_unit)),
        PointValue::Histogram { cumulative, .. } => {
            nested(out, 7, |out| histogram(out, point, cumulative));
        }
        PointValue::Ended => {}
    }
}

fn histogram(out: &mut Vec<u8>, point: &Point, of: &ExponentialHistogram) {
    number(out, 1, of.count);
    double(out, 2, of.sum);
    let mut left = point.exemplar;
    let ends = cumulative(of, bounds(point.metric)).map(|(at, count)| (2f64.powi(at), count));
    for (end, count) in ends.chain([(f64::INFINITY, of.count)]) {
        nested(out, 3, |out| {
            number(out, 1, count);
            double(out, 2, end);
            if let Some(known) = left.take_if(|it| it.value <= end) {
                nested(out, 3, |out| exemplar(out, &known));
            }
        });
    }
    native(out, of);
    nested(out, 15, |out| timestamp(out, point.start));
    if let Some(known) = &point.exemplar {
        nested(out, 16, |out| exemplar(out, known));
    }
}

fn native(out: &mut Vec<u8>, of: &ExponentialHistogram) {
    let mut fitting;
    let mut of = of;
    if of.scale > *SCHEMAS.end() {
        fitting = of.clone();
        while fitting.scale > *SCHEMAS.end() {
            fitting.halve();
        }
        of = &fitting;
    }
    if of.scale < *SCHEMAS.start() {
        return; // the classic buckets say what they can
    }
    number(out, 5, zigzag(of.scale.into()));
    double(out, 6, ZERO_THRESHOLD);
    number(out, 7, of.zero_count);
    if of.buckets.is_empty() {
        return;
    }
    // Prometheus counts buckets by their upper bound, OpenTelemetry by their lower one.
    let offset = i64::from(of.offset) + 1;
    nested(out, 12, |out| {
        number(out, 1, zigzag(offset));
        number(out, 2, of.buckets.len() as u64);
    });
    nested(out, 13, |out| {
        let mut before = 0;
        for count in &of.buckets {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            varint(out, zigzag(count - before));
            before = count;
        }
    });
}

fn exemplar(out: &mut Vec<u8>, of: &Exemplar) {
    for (name, id) in [("trace_id", &of.trace.0[..]), ("span_id", &of.span.0[..])] {
        nested(out, 1, |out| {
            text(out, 1, name);
            nested(out, 2, |out| hex(out, id));
        });
    }
    double(out, 2, of.value);
    nested(out, 3, |out| timestamp(out, of.time));
}

fn timestamp(out: &mut Vec<u8>, time: UnixNanos) {
    number(out, 1, time.0 / 1_000_000_000);
    number(out, 2, time.0 % 1_000_000_000);
}

fn label(out: &mut Vec<u8>, attr: &Attr, value: &str) {
    nested(out, 1, |out| {
        nested(out, 1, |out| label_name(out, attr));
        text(out, 2, value);
    });
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    nested(out, field, |out| out.extend_from_slice(value.as_bytes()));
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field << 3));
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    varint(out, u64::from(field << 3 | 1));
    out.extend_from_slice(&value.to_le_bytes());
}

fn nested(out: &mut Vec<u8>, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
    varint(out, u64::from(field << 3 | 2));
    delimited(out, body);
}

/// Writes what `body` writes, with its length in front.
fn delimited(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    body(out);
    let length = (out.len() - start - 1) as u64;
    if length < 0x80 {
        out[start] = length as u8;
        return;
    }
    // The length is longer than the byte that was kept for it: the body moves.
    let mut digits = Vec::with_capacity(10);
    varint(&mut digits, length);
    out.splice(start..=start, digits);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
