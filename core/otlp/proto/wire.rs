//! Protobuf as bytes: varints, nested messages whose length is filled in afterwards, attributes.

use std::net::IpAddr;

use crate::key::Key;
use crate::span::{EndFields, Fields};
use crate::text::AddressText;

/// How many bytes `value` takes as a varint.
pub(super) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Appends a varint.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Zigzag, for the fields that protobuf calls `sint32`.
pub(crate) fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}

/// Appends a field of bytes or text.
pub(crate) fn bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field of eight bytes.
pub(crate) fn fixed64(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A nested message that is being written: its length goes in front when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nested {
    body: usize,
    reserved: usize,
}

impl Nested {
    /// Begins one. Where `expected` has as many digits as the real length nothing is moved.
    pub(crate) fn begin(out: &mut Vec<u8>, tag: u8, expected: usize) -> Self {
        out.push(tag);
        let reserved = varint_len(expected as u64);
        out.extend_from_slice(&[0; 10][..reserved]);
        Self {
            body: out.len(),
            reserved,
        }
    }

    /// Ends it.
    pub(crate) fn end(self, out: &mut Vec<u8>) {
        let length = out.len() - self.body;
        let needed = varint_len(length as u64);
        let head = self.body - self.reserved;
        if needed > self.reserved {
            out.resize(head + needed + length, 0);
        }
        if needed != self.reserved {
            out.copy_within(self.body..self.body + length, head + needed);
            out.truncate(head + needed + length);
        }
        let mut rest = length as u64;
        for (at, byte) in out[head..head + needed].iter_mut().enumerate() {
            *byte = rest as u8 & 0x7f | if at + 1 < needed { 0x80 } else { 0 };
            rest >>= 7;
        }
    }
}

/// Appends attributes (`KeyValue`s) under a field's tag. The plain way, for what is written once a
/// batch; what is written once a record goes through [`super::row::Row`].
pub(super) struct Attributes<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) tag: u8,
}

impl Attributes<'_> {
    /// A whole number.
    pub(super) fn int_named(&mut self, name: (&str, &str), value: u64) {
        self.head(name, 1 + varint_len(value));
        self.out.push(0x18);
        varint(self.out, value);
    }

    fn head(&mut self, (front, back): (&str, &str), inner: usize) {
        let name = front.len() + back.len();
        let value = varint_len(inner as u64) + inner;
        self.out.push(self.tag);
        varint(
            self.out,
            (1 + varint_len(name as u64) + name + 1 + value) as u64,
        );
        self.out.push(0x0a);
        varint(self.out, name as u64);
        self.out.extend_from_slice(front.as_bytes());
        self.out.extend_from_slice(back.as_bytes());
        self.out.push(0x12);
        varint(self.out, inner as u64);
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
        self.head((key.name, key.suffix), 9);
        fixed64(self.out, 0x21, value.to_bits());
    }
}

impl EndFields for Attributes<'_> {
    fn named(&mut self, name: (&str, &str), value: &str) {
        let inner = 1 + varint_len(value.len() as u64) + value.len();
        self.head(name, inner);
        bytes(self.out, 0x0a, value.as_bytes());
    }

    fn yes(&mut self, name: (&str, &str)) {
        self.head(name, 2);
        self.out.extend_from_slice(&[0x10, 1]);
    }
}
