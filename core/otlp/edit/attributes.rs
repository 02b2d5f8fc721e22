//! Attributes as they lie in a message: found by name, read without a copy, written one by one.

use std::borrow::Cow;

use super::Unreadable;
use super::fields::{Fields, put};
use crate::proto::write_varint;

/// The attributes of one message.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    message: &'a [u8],
    number: u32,
}

/// An attribute's value, as far as it can be compared with anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Any<'a> {
    /// A text.
    Text(&'a str),
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Double(f64),
    /// A list, a table, bytes.
    Other,
}

/// A key and its value, still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, [u8]>,
    /// As it came, while nothing of it was changed.
    raw: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    /// Those in the field `number` of a message.
    pub(super) fn of(message: &'a [u8], number: u32) -> Self {
        Self { message, number }
    }

    /// The value of the first of this name.
    #[must_use]
    pub fn value(self, name: &str) -> Option<Any<'a>> {
        let fields = Fields(self.message).map_while(Result::ok);
        let pairs = fields.filter(|field| field.number == self.number);
        let mut pairs = pairs.filter_map(|field| field.inner);
        pairs.find_map(|pair| {
            let key = Fields(pair).inner(1).unwrap_or_default();
            (key == name.as_bytes()).then(|| Any::of(Fields(pair).inner(2).unwrap_or_default()))
        })
    }

    pub(super) fn pairs(self) -> Result<Vec<Pair<'a>>, Unreadable> {
        let mut pairs = Vec::new();
        for field in Fields(self.message) {
            let field = field?;
            if let (true, Some(pair)) = (field.number == self.number, field.inner) {
                let key = Fields(pair).inner(1).unwrap_or_default();
                pairs.push(Pair {
                    key: std::str::from_utf8(key).map_err(|_| Unreadable)?.into(),
                    value: Fields(pair).inner(2).unwrap_or_default().into(),
                    raw: Some(pair),
                });
            }
        }
        Ok(pairs)
    }
}

impl<'a> Any<'a> {
    fn of(value: &'a [u8]) -> Self {
        let fields = Fields(value).map_while(Result::ok);
        let Some(last) = fields.last() else {
            return Self::Other;
        };
        let bytes = || <[u8; 8]>::try_from(last.raw.get(1..)?).ok();
        match (last.number, last.inner) {
            (1, Some(text)) => std::str::from_utf8(text).map_or(Self::Other, Self::Text),
            (2, None) => Self::Bool(Fields(value).number(2).unwrap_or(0) != 0),
            (3, None) => Self::Int(Fields(value).number(3).unwrap_or(0).cast_signed()),
            (4, None) => {
                bytes().map_or(Self::Other, |bytes| Self::Double(f64::from_le_bytes(bytes)))
            }
            _ => Self::Other,
        }
    }
}

impl<'a> Pair<'a> {
    /// A pair whose value is a text.
    #[must_use]
    pub fn text(key: impl Into<Cow<'a, str>>, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 4);
        put(&mut value, 1, text.as_bytes());
        Self {
            key: key.into(),
            value: value.into(),
            raw: None,
        }
    }

    /// A pair whose value is a number.
    #[must_use]
    pub fn int(key: impl Into<Cow<'a, str>>, number: i64) -> Self {
        let mut value = Vec::with_capacity(11);
        write_varint(&mut value, 3 << 3);
        write_varint(&mut value, number.cast_unsigned());
        Self {
            key: key.into(),
            value: value.into(),
            raw: None,
        }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same value under another key.
    #[must_use]
    pub fn renamed(self, key: impl Into<Cow<'a, str>>) -> Self {
        Self {
            key: key.into(),
            raw: None,
            ..self
        }
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Any<'_> {
        Any::of(&self.value)
    }

    /// Its value as it is encoded: the same bytes are the same value.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.value
    }

    pub(super) fn write(&self, number: u32, to: &mut Vec<u8>) {
        if let Some(raw) = self.raw {
            return put(to, number, raw);
        }
        let mut pair = Vec::with_capacity(self.key.len() + self.value.len() + 8);
        put(&mut pair, 1, self.key.as_bytes());
        put(&mut pair, 2, &self.value);
        put(to, number, &pair);
    }
}
