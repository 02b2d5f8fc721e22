//! JSON as bytes: text, numbers, attributes.

use std::io::Write as _;
use std::net::IpAddr;

use crate::key::Key;
use crate::span::{EndFields, Fields};
use crate::text::AddressText;

/// A line that is being written.
pub(super) type Line = Vec<u8>;

/// Appends what needs no escape.
pub(super) fn raw(out: &mut Line, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends text in quotes.
pub(super) fn text(out: &mut Line, parts: &[&str]) {
    out.push(b'"');
    for letter in parts.iter().flat_map(|part| part.bytes()) {
        match letter {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', letter]),
            b'\n' => raw(out, "\\n"),
            // Writing to memory does not fail, here and below.
            0..0x20 => drop(write!(out, "\\u{letter:04x}")),
            _ => out.push(letter),
        }
    }
    out.push(b'"');
}

/// Appends a number as it is.
pub(super) fn number(out: &mut Line, value: impl std::fmt::Display) {
    drop(write!(out, "{value}"));
}

/// Appends a 64-bit integer: as text, because JSON's readers take numbers for doubles.
pub(super) fn long(out: &mut Line, value: impl std::fmt::Display) {
    drop(write!(out, "\"{value}\""));
}

/// Appends a double; those that JSON has no number for are text.
pub(super) fn double(out: &mut Line, value: f64) {
    if value.is_finite() {
        drop(write!(out, "{value:?}"));
    } else {
        let name = match value {
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => "\"NaN\"",
        };
        raw(out, name);
    }
}

/// Appends an id in hex.
pub(super) fn hex(out: &mut Line, id: &[u8]) {
    out.push(b'"');
    for byte in id {
        drop(write!(out, "{byte:02x}"));
    }
    out.push(b'"');
}

/// Appends a comma unless it would be the first thing behind a bracket.
pub(super) fn comma(out: &mut Line) {
    if !matches!(out.last(), Some(b'[' | b'{')) {
        out.push(b',');
    }
}

/// Attributes, between the brackets of a list.
pub(super) struct Attributes<'a>(pub(super) &'a mut Line);

impl Attributes<'_> {
    /// A whole number under a name of two parts.
    pub(super) fn int_named(&mut self, name: (&str, &str), value: impl std::fmt::Display) {
        self.key(name, "intValue");
        long(self.0, value);
        raw(self.0, "}}");
    }

    fn key(&mut self, (front, back): (&str, &str), kind: &str) {
        comma(self.0);
        raw(self.0, "{\"key\":");
        text(self.0, &[front, back]);
        raw(self.0, ",\"value\":{\"");
        raw(self.0, kind);
        raw(self.0, "\":");
    }
}

impl Fields for Attributes<'_> {
    fn text(&mut self, key: &Key, value: &str) {
        self.named((key.name, key.suffix), value);
    }

    fn address(&mut self, key: &Key, value: IpAddr) {
        self.named((key.name, key.suffix), AddressText::of(value).as_str());
    }

    fn int(&mut self, key: &Key, value: u64) {
        self.int_named((key.name, key.suffix), value);
    }

    fn seconds(&mut self, key: &Key, value: f64) {
        self.key((key.name, key.suffix), "doubleValue");
        double(self.0, value);
        raw(self.0, "}}");
    }
}

impl EndFields for Attributes<'_> {
    fn named(&mut self, name: (&str, &str), value: &str) {
        self.key(name, "stringValue");
        text(self.0, &[value]);
        raw(self.0, "}}");
    }

    fn yes(&mut self, name: (&str, &str)) {
        self.key(name, "boolValue");
        raw(self.0, "true}}");
    }
}
