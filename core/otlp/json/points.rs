//! Metric points -> lines of `MetricsData`.

use tapetum_model::{Exemplar, ExponentialHistogram, Instrument, Metric, Point, PointValue, Value};

use super::Lines;
use super::value::{Attributes, Line, comma, double, hex, long, number, raw, text};
use crate::names;
use crate::span::EndFields as _;

/// Writes the points of the chains that were found.
pub(super) fn write(of: &Lines, points: &[Point], mut give: impl FnMut(u64, Vec<u8>)) {
    let mut out = Line::new();
    let mut items = 0;
    for metric in names::METRICS {
        let mut open = false;
        for at in of.by_metric.of(metric) {
            if items > 0 && out.len() > of.line_bytes {
                end(&mut out, std::mem::take(&mut open));
                give(std::mem::take(&mut items), std::mem::take(&mut out));
            }
            if out.is_empty() {
                begin(of, &mut out);
            }
            if !open {
                begin_metric(metric, &mut out);
                open = true;
            }
            write_point(&points[at], &mut out);
            items += 1;
        }
        if open {
            raw(&mut out, "]}}");
        }
    }
    if items > 0 {
        end(&mut out, false);
        give(items, out);
    }
}

fn end(out: &mut Line, in_metric: bool) {
    if in_metric {
        raw(out, "]}}");
    }
    raw(out, "]}]}]}\n");
}

fn begin(of: &Lines, out: &mut Line) {
    raw(out, "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[");
    for (attr, value) in of.agent.attributes() {
        Attributes(out).named(names::parts(&attr), &value);
    }
    raw(out, "]},\"scopeMetrics\":[{\"scope\":{\"name\":");
    text(out, &[names::SCOPE]);
    raw(out, ",\"version\":");
    text(out, &[&of.agent.version]);
    raw(out, "},\"metrics\":[");
}

fn begin_metric(metric: Metric, out: &mut Line) {
    let known = names::metric(metric);
    comma(out);
    raw(out, "{\"name\":");
    text(out, &[known.name]);
    raw(out, ",\"description\":");
    text(out, &[known.description]);
    raw(out, ",\"unit\":");
    text(out, &[known.unit]);
    raw(
        out,
        match metric.instrument() {
            Instrument::Gauge => ",\"gauge\":{\"dataPoints\":[",
            Instrument::Counter => {
                ",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":["
            }
            Instrument::UpDownCounter => ",\"sum\":{\"aggregationTemporality\":2,\"dataPoints\":[",
            Instrument::Histogram => {
                ",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":["
            }
        },
    );
}

fn write_point(point: &Point, out: &mut Line) {
    comma(out);
    raw(out, "{\"startTimeUnixNano\":");
    long(out, point.start.0);
    raw(out, ",\"timeUnixNano\":");
    long(out, point.time.0);
    raw(out, ",\"attributes\":[");
    for (attr, value) in &point.attributes.0 {
        let name = names::parts(attr);
        match value {
            Value::Static(text) => Attributes(out).named(name, text),
            Value::Text(text) => Attributes(out).named(name, text),
            Value::Int(number) => Attributes(out).int_named(name, number),
        }
    }
    out.push(b']');
    let per_unit = names::metric(point.metric).per_unit;
    match &point.value {
        PointValue::Sum { cumulative, .. } if per_unit == 1 => {
            raw(out, ",\"asInt\":");
            long(out, cumulative);
        }
        PointValue::Sum { cumulative, .. } => {
            raw(out, ",\"asDouble\":");
            double(out, *cumulative as f64 / f64::from(per_unit));
        }
        PointValue::Gauge(value) => {
            raw(out, ",\"asDouble\":");
            double(out, value / f64::from(per_unit));
        }
        PointValue::Histogram { cumulative, .. } => distribution(cumulative, out),
        PointValue::Ended => raw(out, ",\"flags\":1"),
    }
    if let Some(of) = &point.exemplar {
        exemplar(of, out);
    }
    out.push(b'}');
}

fn distribution(of: &ExponentialHistogram, out: &mut Line) {
    raw(out, ",\"count\":");
    long(out, of.count);
    raw(out, ",\"sum\":");
    double(out, of.sum);
    raw(out, ",\"scale\":");
    number(out, of.scale);
    raw(out, ",\"zeroCount\":");
    long(out, of.zero_count);
    if !of.buckets.is_empty() {
        raw(out, ",\"positive\":{\"offset\":");
        number(out, of.offset);
        raw(out, ",\"bucketCounts\":[");
        for count in &of.buckets {
            comma(out);
            long(out, count);
        }
        raw(out, "]}");
    }
    if of.count > 0 {
        raw(out, ",\"min\":");
        double(out, of.min);
        raw(out, ",\"max\":");
        double(out, of.max);
    }
}

fn exemplar(of: &Exemplar, out: &mut Line) {
    raw(out, ",\"exemplars\":[{\"timeUnixNano\":");
    long(out, of.time.0);
    raw(out, ",\"asDouble\":");
    double(out, of.value);
    raw(out, ",\"spanId\":");
    hex(out, &of.span.0);
    raw(out, ",\"traceId\":");
    hex(out, &of.trace.0);
    raw(out, "}]");
}
