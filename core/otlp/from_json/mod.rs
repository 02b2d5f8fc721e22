//! OTLP/JSON → the same as protobuf, in one pass and without a tree.
//!
//! As the specification says: ids are hexadecimal, 64-bit integers are texts or numbers, enums are numbers, what is
//! not known is ignored, and `null` is what is not there. Names may also be those of the protobuf files. What comes
//! out is bounded, and passes [`crate::scan()`].

mod reader;
mod scalar;
#[cfg(test)]
mod tests;

use tapetum_model::OtlpSignal;

use crate::proto::wire::{Nested, varint};
use crate::scan::shapes::{self, Is, Shape};
use reader::Reader;

/// Why a text is no OTLP request in JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Something is not as it should be.
    #[error("malformed OTLP/JSON at byte {at}: {why}")]
    Malformed {
        /// Where.
        at: usize,
        /// What.
        why: String,
    },
    /// As protobuf it is longer than it may be.
    #[error("as protobuf the request is longer than {most} bytes")]
    TooLong {
        /// What was allowed.
        most: usize,
    },
}

/// The export request of `signal` that `json` says, as protobuf of at most `most` bytes.
///
/// # Errors
/// It is none, or a longer one.
pub fn from_json(signal: OtlpSignal, json: &[u8], most: usize) -> Result<Vec<u8>, JsonError> {
    let text = std::str::from_utf8(json).map_err(|why| JsonError::Malformed {
        at: why.valid_up_to(),
        why: "it is not UTF-8".to_owned(),
    })?;
    let mut writer = Writer {
        from: Reader::new(text),
        out: Vec::with_capacity(json.len().min(most) / 2),
        most,
    };
    writer.message(shapes::of(signal), 0)?;
    writer.from.end()?;
    Ok(writer.out)
}

/// Messages are nested as deep as protobuf's decoders follow.
const DEPTH_MAX: u32 = 100;

struct Writer<'a> {
    from: Reader<'a>,
    out: Vec<u8>,
    most: usize,
}

impl Writer<'_> {
    /// The fields of an object, as those of a message.
    fn message(&mut self, shape: &'static Shape, depth: u32) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.from.wrong("messages are nested more than 100 deep"));
        }
        let mut object = self.from.open(b'{', "an object")?;
        while object.next(&mut self.from, b'}')? {
            let key = self.from.text()?;
            self.from.expect(b':')?;
            let known = shape.fields.iter().find(|(_, name, _)| is_name(name, &key));
            match known {
                Some((number, name, is)) if !self.from.null()? => {
                    self.field(shape, (*number, name, *is), depth)?;
                }
                Some(_) => {}
                None => self.from.skip(depth)?,
            }
            if self.out.len() > self.most {
                return Err(JsonError::TooLong { most: self.most });
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        shape: &'static Shape,
        (number, name, is): shapes::Field,
        depth: u32,
    ) -> Result<(), JsonError> {
        let tag = number << 3 | u32::from(is.wire_type());
        match is {
            Is::One(place) => self.nested(shape, place, tag, depth),
            Is::Many(place) | Is::Items(place) => {
                let mut list = self.from.open(b'[', "a list")?;
                while list.next(&mut self.from, b']')? {
                    self.nested(shape, place, tag, depth)?;
                }
                Ok(())
            }
            Is::Texts => {
                let mut list = self.from.open(b'[', "a list")?;
                while list.next(&mut self.from, b']')? {
                    varint(&mut self.out, u64::from(tag));
                    self.scalar(Is::Text, name)?;
                }
                Ok(())
            }
            Is::Uint64s | Is::Fixed64s | Is::Doubles => {
                varint(&mut self.out, u64::from(tag));
                self.numbers(is, name)
            }
            scalar => {
                varint(&mut self.out, u64::from(tag));
                self.scalar(scalar, name)
            }
        }
    }

    fn nested(
        &mut self,
        shape: &'static Shape,
        place: u8,
        tag: u32,
        depth: u32,
    ) -> Result<(), JsonError> {
        let nested = shape.nested[usize::from(place)];
        let tag = tag as u8; // No message has a number above 15.
        // In a list `null` is an element all the same: a value that is not there.
        let start = Nested::begin(&mut self.out, tag, 64);
        if !self.from.null()? {
            self.message(nested, depth + 1)?;
        }
        start.end(&mut self.out);
        Ok(())
    }

    fn numbers(&mut self, is: Is, name: &str) -> Result<(), JsonError> {
        let each = match is {
            Is::Uint64s => Is::Int,
            Is::Fixed64s => Is::Fixed64,
            _ => Is::Double,
        };
        let mut numbers = Vec::new();
        std::mem::swap(&mut numbers, &mut self.out);
        let mut list = self.from.open(b'[', "a list")?;
        let mut done = Ok(());
        while done.is_ok() && list.next(&mut self.from, b']')? {
            done = match each {
                // Unsigned here, and as wide.
                Is::Int => self.unsigned(name),
                other => self.scalar(other, name),
            };
            if self.out.len() > self.most {
                return Err(JsonError::TooLong { most: self.most });
            }
        }
        std::mem::swap(&mut numbers, &mut self.out);
        varint(&mut self.out, numbers.len() as u64);
        self.out.extend_from_slice(&numbers);
        done
    }
}

/// Whether a key means this field: by its name in JSON, or by that of the protobuf file.
fn is_name(name: &str, key: &str) -> bool {
    if !key.contains('_') {
        return !name.is_empty() && name == key;
    }
    let mut letters = name.bytes();
    let mut upper = false;
    for byte in key.bytes() {
        if byte == b'_' {
            upper = true;
            continue;
        }
        let expected = match upper {
            true => byte.to_ascii_uppercase(),
            false => byte,
        };
        upper = false;
        if letters.next() != Some(expected) {
            return false;
        }
    }
    letters.next().is_none()
}
