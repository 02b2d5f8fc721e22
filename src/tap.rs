//! `tapetum tap`: what passes between two components of a running agent, live.

use std::io;

use serde_json::{Value, json};

use crate::End;
use crate::admin::{Admin, Asked};
use crate::model::{Batch, Connection, Payload, Records, Role};
use crate::pipeline::Tapped;
use crate::pipeline::tap::SAMPLE_ITEMS;
use crate::terminal::Terminal;

/// `edge`: without it, which there are.
pub(crate) fn tap(
    edge: Option<&str>,
    admin: &str,
    json: bool,
    count: Option<u64>,
    terminal: &mut Terminal,
) -> io::Result<End> {
    let path = match edge {
        Some(edge) => format!("/tap/{}", escaped(edge)),
        None => "/tap".to_owned(),
    };
    let mut answer = match Admin::new(admin).ask(&path) {
        Ok(Asked::Answered(answer)) => answer,
        Ok(Asked::Refused(text)) => {
            terminal.complain(text.trim_end());
            return Ok(End::Failed);
        }
        Err(error) => {
            terminal.complain(&error.to_string());
            return Ok(End::Failed);
        }
    };
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        let Some(line) = answer.line()? else { break };
        let is_plain = json || edge.is_none();
        terminal.write(&if is_plain {
            line + "\n"
        } else {
            text(&line, terminal)
        })?;
        seen += 1;
    }
    Ok(End::Well)
}

/// A line of the agent's, for a person.
fn text(line: &str, terminal: &Terminal) -> String {
    let Ok(told) = serde_json::from_str::<Value>(line) else {
        return format!("{line}\n");
    };
    let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let head = format!("{}  {}", word("edge"), word("signal"));
    let mut text = format!("{}  {} items", terminal.bold(&head), told["items"]);
    if let Some(missed @ 1..) = told["missed"].as_u64() {
        let missed = format!("{missed} batches before it were missed: this watcher is too slow");
        text += &format!("  {}", terminal.warning(&missed));
    }
    text.push('\n');
    for item in told["sample"].as_array().into_iter().flatten() {
        text += &format!("  {item}\n");
    }
    text
}

/// A batch that passed, as the agent writes it.
pub(crate) fn line(tapped: &Tapped) -> String {
    json!({
        "edge": format!("{}->{}", tapped.edge.from, tapped.edge.to),
        "pipeline": &*tapped.edge.pipeline,
        "signal": format!("{:?}", tapped.sample.signal()).to_lowercase(),
        "items": tapped.items,
        "missed": tapped.missed,
        "sample": sample(&tapped.sample),
    })
    .to_string()
}

fn sample(batch: &Batch) -> Vec<Value> {
    match &batch.payload {
        Payload::Records(Records::Connections(rows)) => rows.iter().map(connection).collect(),
        Payload::Points(points) => points.iter().map(point).collect(),
        Payload::Otlp(otlp) => {
            let mut items = Vec::new();
            let bytes = otlp.bytes.contiguous();
            // What cannot be read shows nothing.
            let _ = tapetum_otlp::edit::retain(otlp.signal, &bytes, &mut |item| {
                if items.len() < SAMPLE_ITEMS {
                    items.push(json!({
                        "service": item.attribute("service.name").map(any),
                        "name": item.name(),
                        "kind": item.kind(),
                    }));
                }
                true
            });
            items
        }
    }
}

fn connection(row: &Connection) -> Value {
    let end = |end: &crate::model::End| {
        let name = end.entity.as_ref().and_then(|entity| entity.name());
        json!({ "address": end.address.to_string(), "service": name.map(|name| &**name) })
    };
    json!({
        "seen_by": if row.role == Role::Client { "client" } else { "server" },
        "client": end(row.client()),
        "server": end(row.server()),
        "bytes_sent": row.delta.bytes_sent,
        "bytes_received": row.delta.bytes_received,
        "end_reason": row.end_reason.map(|reason| reason.name()),
        "error": row.error.map(|error| error.name()),
        "is_span": row.flags.has(crate::model::Flags::SPAN),
    })
}

fn point(point: &crate::model::Point) -> Value {
    use crate::model::{PointValue, Value as Of};
    let attributes = point.attributes.0.iter().map(|(attr, value)| {
        let value = match value {
            Of::Static(text) => json!(text),
            Of::Text(text) => json!(&**text),
            Of::Int(number) => json!(number),
        };
        (tapetum_otlp::names::attribute(attr).into_owned(), value)
    });
    let attributes: serde_json::Map<_, _> = attributes.collect();
    let value = match &point.value {
        PointValue::Sum { cumulative, .. } => json!(cumulative),
        PointValue::Gauge(value) => json!(value),
        PointValue::Histogram { cumulative, .. } => json!({ "count": cumulative.count }),
        PointValue::Ended => Value::Null,
    };
    json!({
        "metric": tapetum_otlp::names::metric(point.metric).name,
        "attributes": attributes,
        "value": value,
    })
}

fn any(value: tapetum_otlp::edit::Any<'_>) -> Value {
    use tapetum_otlp::edit::Any;
    match value {
        Any::Text(text) => json!(text),
        Any::Bool(truth) => json!(truth),
        Any::Int(number) => json!(number),
        Any::Double(number) => json!(number),
        Any::Other => Value::Null,
    }
}

/// What a URL cannot hold as it is.
fn escaped(edge: &str) -> String {
    let mut text = String::new();
    for byte in edge.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}
