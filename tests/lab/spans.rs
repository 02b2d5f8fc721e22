//! Spans as they left the agent: OTLP JSON lines, read without any code of Tapetum's.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Attributes, integers and doubles as numbers.
pub type Attributes = BTreeMap<String, Value>;

/// One span with what stands around it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Of the resource: who the local end is.
    pub resource: Attributes,
    /// Of the scope: the window and its completeness.
    pub scope: Attributes,
    /// Of the span itself.
    pub attributes: Attributes,
    /// Hexadecimal, as OTLP JSON has it.
    pub trace: String,
    /// Hexadecimal.
    pub id: String,
    /// Hexadecimal, empty for a root.
    pub parent: String,
    /// `tcp <server>`.
    pub name: String,
    /// 2 server, 3 client.
    pub kind: u64,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds since 1970.
    pub end_ns: u64,
    /// Whether the status is an error.
    pub error: bool,
    /// The traces that it links to.
    pub links: Vec<String>,
}

impl Span {
    /// OTLP's number of the kind SERVER.
    pub const SERVER: u64 = 2;
    /// OTLP's number of the kind CLIENT.
    pub const CLIENT: u64 = 3;

    /// All spans of a file of OTLP JSON lines; a last line that is not whole yet is left for later.
    ///
    /// # Errors
    /// If a whole line is no OTLP JSON.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>> {
        let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let mut spans = Vec::new();
        for line in whole.lines().filter(|line| !line.is_empty()) {
            let request: Value = serde_json::from_str(line).context("a line is not JSON")?;
            for resource_spans in list(&request["resourceSpans"]) {
                let resource = attributes(&resource_spans["resource"]["attributes"]);
                for scope_spans in list(&resource_spans["scopeSpans"]) {
                    let scope = attributes(&scope_spans["scope"]["attributes"]);
                    for span in list(&scope_spans["spans"]) {
                        spans.push(Self::parse(span, &resource, &scope)?);
                    }
                }
            }
        }
        Ok(spans)
    }

    fn parse(span: &Value, resource: &Attributes, scope: &Attributes) -> Result<Self> {
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let links = list(&span["links"]);
        Ok(Self {
            resource: resource.clone(),
            scope: scope.clone(),
            attributes: attributes(&span["attributes"]),
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            name: text("name"),
            kind: enumeration(
                &span["kind"],
                &[("SPAN_KIND_SERVER", 2), ("SPAN_KIND_CLIENT", 3)],
            ),
            start_ns: number(&span["startTimeUnixNano"]).context("a span without a start")?,
            end_ns: number(&span["endTimeUnixNano"]).context("a span without an end")?,
            error: enumeration(&span["status"]["code"], &[("STATUS_CODE_ERROR", 2)]) == 2,
            links: links
                .iter()
                .filter_map(|link| link["traceId"].as_str().map(str::to_owned))
                .collect(),
        })
    }

    /// An attribute that is a number; what is left out is zero.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.attributes
            .get(name)
            .and_then(Value::as_u64)
            .unwrap_or(0)
    }

    /// An attribute that is a number of seconds.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<f64> {
        self.attributes.get(name).and_then(Value::as_f64)
    }

    /// An attribute that is text; empty if it is left out.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.attributes
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// An attribute of the resource that is text; empty if it is left out.
    #[must_use]
    pub fn resource_text(&self, name: &str) -> &str {
        self.resource
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A pair of attributes, `<prefix>.address` and `<prefix>.port`.
    #[must_use]
    pub fn address(&self, prefix: &str) -> Option<SocketAddr> {
        let ip: IpAddr = self.text(&format!("{prefix}.address")).parse().ok()?;
        let port = self.attributes.get(&format!("{prefix}.port"))?.as_u64()?;
        Some(SocketAddr::new(ip, u16::try_from(port).ok()?))
    }

    /// Whether this is the last span of its connection.
    #[must_use]
    pub fn is_last(&self) -> bool {
        !self.text("tcp.end_reason").is_empty()
    }
}

/// The attributes of an OTLP JSON list of key-value pairs.
pub(crate) fn attributes(pairs: &Value) -> Attributes {
    let pairs = list(pairs).iter();
    pairs
        .filter_map(|pair| {
            let value = &pair["value"];
            let plain = if let Some(text) = value["stringValue"].as_str() {
                Value::from(text)
            } else if let Some(count) = number(&value["intValue"]) {
                Value::from(count)
            } else if value["doubleValue"].is_number() {
                value["doubleValue"].clone()
            } else {
                value["boolValue"].clone()
            };
            Some((pair["key"].as_str()?.to_owned(), plain))
        })
        .collect()
}

/// A 64-bit number, which OTLP JSON writes as text and some write as a number.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// An enumeration, which OTLP JSON writes as a number and some write by name.
fn enumeration(value: &Value, names: &[(&str, u64)]) -> u64 {
    let named = || {
        names
            .iter()
            .find(|(name, _)| value.as_str() == Some(name))
            .map(|(_, code)| *code)
    };
    value.as_u64().or_else(named).unwrap_or(0)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
