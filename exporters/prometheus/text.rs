//! The text formats: 0.0.4 and OpenMetrics, which differ in heads, counters' families and exemplars.

use std::io::Write as _;

use tapetum_model::{Attr, Attributes, Exemplar, Metric, Point, PointValue, UnixNanos, Value};
use tapetum_otlp::{Agent, names};

use super::negotiate::Format;
use super::page::{bounds, cumulative, is_counter};

/// What the agent is, as the convention of OpenTelemetry has it: one sample with its resource.
pub(super) fn target(out: &mut Vec<u8>, format: Format, agent: &Agent) {
    let (family, kind) = if format.is_open_metrics() {
        ("target", "info")
    } else {
        ("target_info", "gauge")
    };
    put(out, &["# HELP ", family, " ", TARGET_HELP, "\n"]);
    put(out, &["# TYPE ", family, " ", kind, "\ntarget_info{"]);
    for (at, (attr, value)) in agent.attributes().iter().enumerate() {
        label(out, at > 0, attr, |out| escape(out, value));
    }
    out.extend_from_slice(b"} 1\n");
}

pub(super) const TARGET_HELP: &str = "Who measured: the resource of the agent.";

/// What a metric means, is and is counted in.
pub(super) fn head(out: &mut Vec<u8>, format: Format, metric: Metric) {
    let known = names::metric(metric);
    let family = family(format, metric);
    put(out, &["# HELP ", family, " "]);
    for character in known.description.chars() {
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '"' if format.is_open_metrics() => out.extend_from_slice(b"\\\""),
            plain => write_char(out, plain),
        }
    }
    let kind = match metric.instrument() {
        tapetum_model::Instrument::Counter => "counter",
        tapetum_model::Instrument::Histogram => "histogram",
        _ => "gauge",
    };
    put(out, &["\n# TYPE ", family, " ", kind, "\n"]);
    if format.is_open_metrics()
        && let Some(unit) = unit(family)
    {
        put(out, &["# UNIT ", family, " ", unit, "\n"]);
    }
}

/// The unit that a family's name ends in.
pub(super) fn unit(family: &str) -> Option<&'static str> {
    ["seconds", "bytes"].into_iter().find(|unit| {
        family
            .strip_suffix(unit)
            .is_some_and(|name| name.ends_with('_'))
    })
}

/// OpenMetrics calls a counter's family without the `_total` of its sample.
fn family(format: Format, metric: Metric) -> &'static str {
    let name = names::metric(metric).prometheus;
    if format.is_open_metrics() && is_counter(metric) {
        name.strip_suffix("_total").unwrap_or(name)
    } else {
        name
    }
}

/// The samples of one series.
pub(super) fn series(out: &mut Vec<u8>, format: Format, created: bool, point: &Point) {
    let name = names::metric(point.metric).prometheus;
    let exemplar = point.exemplar.filter(|_| format.is_open_metrics());
    match &point.value {
        PointValue::Sum { cumulative, .. } => {
            sample(out, name, "", &point.attributes, None);
            number(out, point.metric, *cumulative);
            mark(out, exemplar.filter(|_| is_counter(point.metric)));
        }
        PointValue::Gauge(value) => {
            sample(out, name, "", &point.attributes, None);
            float(out, value / f64::from(names::metric(point.metric).per_unit));
            out.push(b'\n');
        }
        PointValue::Histogram { cumulative, .. } => {
            let mut exemplar = exemplar;
            for (exponent, count) in self::cumulative(cumulative, bounds(point.metric)) {
                let bound = 2f64.powi(exponent);
                sample(out, name, "_bucket", &point.attributes, Some(bound));
                put_count(out, count);
                mark(out, exemplar.take_if(|it| it.value <= bound));
            }
            sample(out, name, "_bucket", &point.attributes, Some(f64::INFINITY));
            put_count(out, cumulative.count);
            mark(out, exemplar);
            sample(out, name, "_sum", &point.attributes, None);
            float(out, cumulative.sum);
            out.push(b'\n');
            sample(out, name, "_count", &point.attributes, None);
            put_count(out, cumulative.count);
            out.push(b'\n');
        }
        PointValue::Ended => return,
    }
    let counts = is_counter(point.metric) || matches!(point.value, PointValue::Histogram { .. });
    if created && format.is_open_metrics() && counts {
        sample(
            out,
            family(format, point.metric),
            "_created",
            &point.attributes,
            None,
        );
        seconds(out, point.start);
        out.push(b'\n');
    }
}

/// Name and labels of a sample, up to its value.
fn sample(out: &mut Vec<u8>, name: &str, suffix: &str, of: &Attributes, le: Option<f64>) {
    put(out, &[name, suffix]);
    if !of.0.is_empty() || le.is_some() {
        out.push(b'{');
        for (at, (attr, value)) in of.0.iter().enumerate() {
            label(out, at > 0, attr, |out| match value {
                Value::Static(text) => escape(out, text),
                Value::Text(text) => escape(out, text),
                Value::Int(number) => put_int(out, *number),
            });
        }
        if let Some(le) = le {
            put(out, &[if of.0.is_empty() { "" } else { "," }, "le=\""]);
            bound(out, le);
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b' ');
}

fn label(out: &mut Vec<u8>, comma: bool, attr: &Attr, value: impl FnOnce(&mut Vec<u8>)) {
    if comma {
        out.push(b',');
    }
    label_name(out, attr);
    out.extend_from_slice(b"=\"");
    value(out);
    out.push(b'"');
}

/// An attribute's name with `_` for what a label cannot have.
pub(super) fn label_name(out: &mut Vec<u8>, attr: &Attr) {
    let (front, back) = names::parts(attr);
    let start = out.len();
    for byte in front.bytes().chain(back.bytes()) {
        let fits = byte.is_ascii_alphanumeric() || byte == b'_';
        out.push(if fits { byte } else { b'_' });
    }
    if out.get(start).is_none_or(u8::is_ascii_digit) {
        out.insert(start, b'_');
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            plain => out.push(plain),
        }
    }
}

/// An exemplar behind a value, and the end of the line.
fn mark(out: &mut Vec<u8>, exemplar: Option<Exemplar>) {
    if let Some(exemplar) = exemplar {
        out.extend_from_slice(b" # {trace_id=\"");
        hex(out, &exemplar.trace.0);
        out.extend_from_slice(b"\",span_id=\"");
        hex(out, &exemplar.span.0);
        out.extend_from_slice(b"\"} ");
        float(out, exemplar.value);
        out.push(b' ');
        seconds(out, exemplar.time);
    }
    out.push(b'\n');
}

pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[usize::from(digit)]);
        }
    }
}

fn seconds(out: &mut Vec<u8>, time: UnixNanos) {
    let (whole, rest) = (time.0 / 1_000_000_000, time.0 / 1_000_000 % 1_000);
    written(write!(out, "{whole}.{rest:03}"));
}

fn number(out: &mut Vec<u8>, metric: Metric, value: i64) {
    match names::metric(metric).per_unit {
        1 => put_int(out, value),
        per_unit => float(out, value as f64 / f64::from(per_unit)),
    }
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    written(write!(out, "{value}"));
}

fn put_count(out: &mut Vec<u8>, value: u64) {
    written(write!(out, "{value}"));
}

fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        written(write!(out, "{value}"));
    }
}

/// A bound as Prometheus itself writes it (it makes labels of the bounds of protobuf), so that `le` is
/// the same whatever was negotiated.
pub(super) fn bound(out: &mut Vec<u8>, value: f64) {
    if value.is_infinite() {
        out.extend_from_slice(b"+Inf");
    } else if value < 1e-4 {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once("e-").unwrap_or((&text, "0"));
        written(write!(out, "{digits}e-{exponent:0>2}"));
    } else {
        written(write!(out, "{value:?}"));
    }
}

fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

fn write_char(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Writing into memory does not fail.
fn written(result: std::io::Result<()>) {
    debug_assert!(result.is_ok());
}
