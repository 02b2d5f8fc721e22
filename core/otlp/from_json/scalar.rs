//! Values that are no messages: from how JSON says them to how protobuf does.

use std::borrow::Cow;

use super::{JsonError, Writer};
use crate::proto::wire::{varint, zigzag};
use crate::scan::shapes::Is;

impl Writer<'_> {
    /// A value behind its tag.
    pub(super) fn scalar(&mut self, is: Is, name: &str) -> Result<(), JsonError> {
        match is {
            Is::Bool => {
                let value = self.boolean(name)?;
                self.out.push(u8::from(value));
            }
            Is::Int => {
                let value: i64 = self.integer(name)?;
                varint(&mut self.out, value as u64);
            }
            Is::Enum => {
                let value: i32 = self.integer(name)?;
                varint(&mut self.out, i64::from(value) as u64);
            }
            Is::Uint32 => {
                let value: u32 = self.integer(name)?;
                varint(&mut self.out, u64::from(value));
            }
            Is::Sint32 => {
                let value: i32 = self.integer(name)?;
                varint(&mut self.out, zigzag(value));
            }
            Is::Fixed32 => {
                let value: u32 = self.integer(name)?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Is::Fixed64 => {
                let value: u64 = self.integer(name)?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Is::Sfixed64 => {
                let value: i64 = self.integer(name)?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Is::Double => {
                let value = self.double(name)?;
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Is::Id(digits) => {
                let text = self.from.text()?;
                let id = hex(&text).filter(|_| [0, usize::from(digits)].contains(&text.len()));
                let wrong = || format!("`{name}` is not {digits} hexadecimal digits");
                let id = id.ok_or_else(|| self.from.wrong(wrong()))?;
                self.bytes(&id);
            }
            Is::Bytes => {
                let text = self.from.text()?;
                let bytes = base64(&text);
                let wrong = || format!("`{name}` is not base64");
                let bytes = bytes.ok_or_else(|| self.from.wrong(wrong()))?;
                self.bytes(&bytes);
            }
            _ => {
                let text = self.from.text()?;
                self.bytes(text.as_bytes());
            }
        }
        Ok(())
    }

    /// A number of a list of varints.
    pub(super) fn unsigned(&mut self, name: &str) -> Result<(), JsonError> {
        let value: u64 = self.integer(name)?;
        varint(&mut self.out, value);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn boolean(&mut self, name: &str) -> Result<bool, JsonError> {
        match self.from.peek() {
            Some(b't') => self.from.word("true").map(|()| true),
            Some(b'f') => self.from.word("false").map(|()| false),
            _ => Err(self.from.wrong(format!("`{name}` is not true or false"))),
        }
    }

    /// A whole number: written as one, as a text of one, or with a fraction of nothing.
    fn integer<T: TryFrom<i128>>(&mut self, name: &str) -> Result<T, JsonError> {
        let text = self.digits()?;
        let whole = text.parse::<i128>().ok().or_else(|| {
            let float = text.parse::<f64>().ok()?;
            // Every whole number up to here is exact.
            (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i128)
        });
        let value = whole.and_then(|whole| T::try_from(whole).ok());
        let wrong = || format!("`{name}` is not a whole number of its size");
        value.ok_or_else(|| self.from.wrong(wrong()))
    }

    fn double(&mut self, name: &str) -> Result<f64, JsonError> {
        let text = self.digits()?;
        match &*text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            number => {
                let number = number
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite());
                number.ok_or_else(|| self.from.wrong(format!("`{name}` is not a number")))
            }
        }
    }

    fn digits(&mut self) -> Result<Cow<'_, str>, JsonError> {
        match self.from.peek() {
            Some(b'"') => self.from.text(),
            _ => self.from.number().map(Cow::Borrowed),
        }
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// Both alphabets, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
