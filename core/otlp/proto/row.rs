//! What is written once a record: a scratch of fixed size, filled by moves of fixed size.
//!
//! Each attribute's bytes up to its value are a constant of 48 bytes. They are copied whole, its two
//! lengths are set, and the value goes over what the copy left behind: no loop, no branch on a
//! length, and the bounds are checked once an attribute.

use std::net::IpAddr;

use tapetum_model::{Connection, Role};

use super::wire::varint_len;
use crate::Form;
use crate::key::Key;
use crate::span::{self, Fields};
use crate::text::AddressText;

/// Room for one attribute of bounded size: its head and the longest varint behind it.
const ATTRIBUTE: usize = 64;
/// What a span's fields of fixed size take at most.
const HEADER: usize = 80;
/// Longer text (the name of an executable) is cut: the kernel has 15 bytes of it.
const TEXT_MAX: usize = 256;
/// 16 counters, 7 other numbers, 6 texts, header and link, with room to spare.
const ROOM: usize = 4096;

/// The part of one span that is its own.
pub(super) struct Row {
    bytes: Box<[u8; ROOM]>,
    len: usize,
    form: Form,
}

impl Row {
    pub(super) fn new(form: Form) -> Self {
        Self {
            bytes: Box::new([0; ROOM]),
            len: 0,
            form,
        }
    }

    /// Writes what is the row's own; the span's name only where nobody `named` the server.
    pub(super) fn fill(&mut self, row: &Connection, named: bool) {
        match self.form {
            Form::Span => self.header(row),
            Form::Log => self.log_header(row),
        }
        span::own(row, self);
        if self.form == Form::Span {
            self.span_tail(row);
        }
        if !named {
            self.port_name(row.server().address.port());
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What only a span can say: what it goes on from, and that it failed.
    fn span_tail(&mut self, row: &Connection) {
        if let Some(link) = &row.link {
            let room = self.room::<ATTRIBUTE>();
            room[..4].copy_from_slice(&[0x6a, 33, 0x0a, 16]);
            room[4..20].copy_from_slice(&link.trace.0);
            room[20..22].copy_from_slice(&[0x12, 8]);
            room[22..30].copy_from_slice(&link.span.0);
            room[30] = 0x35;
            room[31..35].copy_from_slice(&span::LINK_FLAGS.to_le_bytes());
            self.len += 35;
        }
        if row.error.is_some() {
            let room = self.room::<4>();
            *room = [0x7a, 2, 0x18, 2];
            self.len += 4;
        }
    }

    /// When it began and ended, whose trace it is of, and how much it matters.
    fn log_header(&mut self, row: &Connection) {
        self.len = 0;
        let (number, text): (u8, &[u8; 5]) = match row.error {
            None => (9, b"INFO\0"),
            Some(_) => (17, b"ERROR"),
        };
        let length = if number == 9 { 4 } else { 5 };
        let room = self.room::<HEADER>();
        room[0] = 0x09;
        room[1..9].copy_from_slice(&row.start.0.to_le_bytes());
        room[9] = 0x59;
        room[10..18].copy_from_slice(&row.end.0.to_le_bytes());
        room[18..20].copy_from_slice(&[0x4a, 16]);
        room[20..36].copy_from_slice(&row.trace.0);
        room[36..38].copy_from_slice(&[0x52, 8]);
        room[38..46].copy_from_slice(&row.span.0);
        room[46] = 0x45;
        room[47..51].copy_from_slice(&(span::flags(row) & 0xff).to_le_bytes());
        room[51..53].copy_from_slice(&[0x10, number]);
        room[53..55].copy_from_slice(&[0x1a, length as u8]);
        room[55..60].copy_from_slice(text);
        self.len = 55 + length;
    }

    fn header(&mut self, row: &Connection) {
        self.len = 0;
        let room = self.room::<HEADER>();
        room[..2].copy_from_slice(&[0x0a, 16]);
        room[2..18].copy_from_slice(&row.trace.0);
        room[18..20].copy_from_slice(&[0x12, 8]);
        room[20..28].copy_from_slice(&row.span.0);
        room[28..30].copy_from_slice(&[0x85, 1]);
        room[30..34].copy_from_slice(&span::flags(row).to_le_bytes());
        room[34] = 0x30;
        room[35] = match row.role {
            Role::Server => 2,
            Role::Client => 3,
        };
        room[36] = 0x39;
        room[37..45].copy_from_slice(&row.start.0.to_le_bytes());
        room[45] = 0x41;
        room[46..54].copy_from_slice(&row.end.0.to_le_bytes());
        room[54..56].copy_from_slice(&[0x22, 8]);
        let parent = row.parent.unwrap_or_default();
        room[56..64].copy_from_slice(&parent.0);
        self.len = if row.parent.is_some() { 64 } else { 54 };
    }

    fn port_name(&mut self, port: u16) {
        let mut digits = [0; 5];
        let mut first = digits.len();
        let mut rest = port;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = &digits[first..];
        let length = 5 + digits.len() as u8;
        match self.form {
            Form::Span => self.put(&[0x2a, length]),
            Form::Log => self.put(&[0x2a, length + 2, 0x0a, length]),
        }
        self.put(b"tcp :");
        self.put(digits);
    }

    #[inline]
    fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        self.bytes[self.len..]
            .first_chunk_mut()
            .expect("the scratch holds the longest span")
    }

    /// Copies an attribute's head and sets its lengths for a value of `inner` bytes.
    #[inline]
    fn head(&mut self, key: &Key, inner: usize) -> &mut [u8; ATTRIBUTE] {
        let tag = self.form.attribute();
        let room = self.room::<ATTRIBUTE>();
        room[..Key::ROOM].copy_from_slice(&key.head);
        room[0] = tag;
        room[1] = (key.len - 2 + inner) as u8;
        room[key.len - 1] = inner as u8;
        room
    }

    /// An attribute whose lengths take more than one byte each.
    #[cold]
    fn long_text(&mut self, key: &Key, value: &str) {
        let cut = value.floor_char_boundary(TEXT_MAX);
        let value = &value.as_bytes()[..cut];
        let inner = 1 + varint_len(value.len() as u64) + value.len();
        let whole = key.len - 3 + varint_len(inner as u64) + inner;
        self.put(&[self.form.attribute()]);
        self.long(whole);
        self.put(&key.head[2..key.len - 1]);
        self.long(inner);
        self.put(&[0x0a]);
        self.long(value.len());
        self.put(value);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn long(&mut self, value: usize) {
        let mut rest = value;
        while rest >= 0x80 {
            self.put(&[rest as u8 | 0x80]);
            rest >>= 7;
        }
        self.put(&[rest as u8]);
    }
}

impl Fields for Row {
    #[inline]
    fn text(&mut self, key: &Key, value: &str) {
        if value.len() > 64 {
            return self.long_text(key, value);
        }
        let room = self.head(key, 2 + value.len());
        room[key.len] = 0x0a;
        room[key.len + 1] = value.len() as u8;
        self.len += key.len + 2;
        self.put(value.as_bytes());
    }

    fn address(&mut self, key: &Key, value: IpAddr) {
        self.text(key, AddressText::of(value).as_str());
    }

    #[inline]
    fn int(&mut self, key: &Key, value: u64) {
        let digits = varint_len(value);
        let room = self.head(key, 1 + digits);
        room[key.len] = 0x18;
        let at = key.len + 1;
        if value < 1 << 56 {
            room[at..at + 8].copy_from_slice(&spread(value, digits).to_le_bytes());
        } else {
            let mut rest = value;
            for byte in &mut room[at..at + digits - 1] {
                *byte = rest as u8 | 0x80;
                rest >>= 7;
            }
            room[at + digits - 1] = rest as u8;
        }
        self.len += at + digits;
    }

    #[inline]
    fn seconds(&mut self, key: &Key, value: f64) {
        let room = self.head(key, 9);
        room[key.len] = 0x21;
        room[key.len + 1..key.len + 9].copy_from_slice(&value.to_le_bytes());
        self.len += key.len + 9;
    }
}

/// The varint of a value below 2^56, in `digits` bytes, without a loop: seven bits to each byte.
#[inline]
fn spread(value: u64, digits: usize) -> u64 {
    let halves = (value & 0x0fff_ffff) | ((value & 0x00ff_ffff_f000_0000) << 4);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves & 0x0fff_c000_0fff_c000) << 2);
    let bytes = (quarters & 0x007f_007f_007f_007f) | ((quarters & 0x3f80_3f80_3f80_3f80) << 1);
    let goes_on = 0x8080_8080_8080_8080 & ((1 << (8 * (digits - 1))) - 1);
    bytes | goes_on
}
