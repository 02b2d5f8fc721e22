//! The walk through the fields of a message and of those inside of it.

use std::ptr;

use super::shapes::{
    ATTRIBUTE, BYTES, FIXED32, FIXED64, FIXED64S, ITEM, MESSAGE, OTHER, PLACE, Shape, TEXT, VARINT,
    VARINTS,
};

/// Deeper than this no decoder follows.
const DEPTH_MAX: u32 = 100;

const VARINT_TYPE: u8 = 0;
const FIXED64_TYPE: u8 = 1;
const LENGTH_TYPE: u8 = 2;
const GROUP_TYPE: u8 = 3;
const GROUP_END_TYPE: u8 = 4;
const FIXED32_TYPE: u8 = 5;

/// What was counted.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) items: u64,
}

/// Why the walk ended, and where. Behind a pointer: what every step hands back then fits into registers.
pub(super) struct Fault(Box<Spot>);

/// The address says the place without a sum that every step would pay for.
struct Spot {
    address: usize,
    why: &'static str,
}

impl Fault {
    #[cold]
    fn at(rest: &[u8], why: &'static str) -> Self {
        let address = rest.as_ptr().addr();
        Self(Box::new(Spot { address, why }))
    }

    /// What is wrong.
    pub(super) fn why(&self) -> &'static str {
        self.0.why
    }

    /// How many bytes of `whole` are behind it.
    pub(super) fn left_of(&self, whole: &[u8]) -> usize {
        let end = whole.as_ptr_range().end.addr();
        end.saturating_sub(self.0.address).min(whole.len())
    }
}

impl Fields {
    /// Walks through one message, `depth` messages inside of the request.
    pub(super) fn walk(
        &mut self,
        shape: &'static Shape,
        message: &[u8],
        depth: u32,
    ) -> Result<(), Fault> {
        let mut rest = message;
        while let Some((&tag, behind)) = rest.split_first() {
            let step = match shape.by_tag.get(usize::from(tag)) {
                Some(step) => *step,
                None => OTHER,
            };
            if step >= MESSAGE {
                let start = rest;
                rest = behind;
                let inner = delimited(&mut rest)?;
                self.items += u64::from(step >= ITEM);
                let nested = shape.nested[usize::from(step & PLACE)];
                let has_room = depth + 2 <= DEPTH_MAX;
                if !(has_room && ptr::eq(nested, &ATTRIBUTE) && is_plain_attribute(inner)) {
                    self.enter(nested, inner, depth, start)?;
                }
                continue;
            }
            match step {
                TEXT => {
                    rest = behind;
                    text(delimited(&mut rest)?)?;
                }
                BYTES => {
                    rest = behind;
                    delimited(&mut rest)?;
                }
                FIXED64 => {
                    rest = behind;
                    take(&mut rest, 8)?;
                }
                VARINT => {
                    rest = behind;
                    varint(&mut rest)?;
                }
                FIXED32 => {
                    rest = behind;
                    take(&mut rest, 4)?;
                }
                FIXED64S => {
                    rest = behind;
                    fixed64s(delimited(&mut rest)?)?;
                }
                VARINTS => {
                    rest = behind;
                    varints(delimited(&mut rest)?)?;
                }
                _ => rest = self.other(shape, rest, depth)?,
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        shape: &'static Shape,
        message: &[u8],
        depth: u32,
        at: &[u8],
    ) -> Result<(), Fault> {
        if depth >= DEPTH_MAX {
            return Err(too_deep(at));
        }
        self.walk(shape, message, depth + 1)
    }

    /// A field that the tag's first byte does not tell: of a greater number, unknown, or wrong.
    fn other<'a>(
        &mut self,
        shape: &'static Shape,
        start: &'a [u8],
        depth: u32,
    ) -> Result<&'a [u8], Fault> {
        let mut rest = start;
        let (number, wire) = tag(&mut rest)?;
        let Some((_, _, is)) = shape.fields.iter().find(|(known, ..)| *known == number) else {
            skip(&mut rest, number, wire, depth, start)?;
            return Ok(rest);
        };
        match (is.step(), wire) {
            (VARINT | VARINTS, VARINT_TYPE) => varint(&mut rest).map(drop)?,
            (FIXED64 | FIXED64S, FIXED64_TYPE) => take(&mut rest, 8).map(drop)?,
            (FIXED32, FIXED32_TYPE) => take(&mut rest, 4).map(drop)?,
            (VARINTS, LENGTH_TYPE) => varints(delimited(&mut rest)?)?,
            (FIXED64S, LENGTH_TYPE) => fixed64s(delimited(&mut rest)?)?,
            (TEXT, LENGTH_TYPE) => text(delimited(&mut rest)?)?,
            (BYTES, LENGTH_TYPE) => delimited(&mut rest).map(drop)?,
            (step @ MESSAGE.., LENGTH_TYPE) => {
                let inner = delimited(&mut rest)?;
                self.items += u64::from(step >= ITEM);
                self.enter(shape.nested[usize::from(step & PLACE)], inner, depth, start)?;
            }
            _ => {
                let why = "a field has another wire type than it should";
                return Err(Fault::at(start, why));
            }
        }
        Ok(rest)
    }
}

/// Nearly every attribute: a key, and a value that is one text or one number. What is not is walked through.
fn is_plain_attribute(message: &[u8]) -> bool {
    // Then its texts are too, and its lengths are of one byte: one look instead of many.
    let is_ascii = message.is_ascii();
    let plain = || {
        let (key, rest) = short(message.strip_prefix(&[0x0a])?)?;
        let (value, rest) = short(rest.strip_prefix(&[0x12])?)?;
        if !rest.is_empty() {
            return None;
        }
        let is_right = match value.split_first()? {
            (0x0a, behind) => {
                let (text, rest) = short(behind)?;
                rest.is_empty() && (is_ascii || is_text(text))
            }
            (0x10 | 0x18, number) => {
                let (last, before) = number.split_last()?;
                let goes_on = before.iter().all(|byte| *byte >= 0x80);
                *last < 0x80 && before.len() < 9 && goes_on
            }
            (0x21, behind) => behind.len() == 8,
            _ => false,
        };
        (is_right && (is_ascii || is_text(key))).then_some(())
    };
    plain().is_some()
}

/// Bytes behind a length of one byte, and what is behind them.
fn short(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = from.split_first()?;
    match length < 0x80 {
        true => rest.split_at_checked(usize::from(length)),
        false => None,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

fn text(bytes: &[u8]) -> Result<(), Fault> {
    match is_text(bytes) {
        true => Ok(()),
        false => Err(Fault::at(bytes, "a text is not UTF-8")),
    }
}

fn varints(mut rest: &[u8]) -> Result<(), Fault> {
    while !rest.is_empty() {
        varint(&mut rest)?;
    }
    Ok(())
}

fn fixed64s(bytes: &[u8]) -> Result<(), Fault> {
    match bytes.len().is_multiple_of(8) {
        true => Ok(()),
        false => Err(Fault::at(bytes, "a list of numbers ends inside of one")),
    }
}

/// Skips a field that is not known: a newer sender's.
fn skip(rest: &mut &[u8], number: u32, wire: u8, depth: u32, start: &[u8]) -> Result<(), Fault> {
    if depth >= DEPTH_MAX {
        return Err(too_deep(start));
    }
    match wire {
        VARINT_TYPE => varint(rest).map(drop),
        FIXED64_TYPE => take(rest, 8).map(drop),
        FIXED32_TYPE => take(rest, 4).map(drop),
        LENGTH_TYPE => delimited(rest).map(drop),
        GROUP_TYPE => loop {
            let start = *rest;
            let (inner, wire) = tag(rest)?;
            if wire == GROUP_END_TYPE {
                return match inner == number {
                    true => Ok(()),
                    false => Err(Fault::at(start, "another group ends than began")),
                };
            }
            skip(rest, inner, wire, depth + 1, start)?;
        },
        _ => Err(Fault::at(start, "a group ends that did not begin")),
    }
}

fn too_deep(at: &[u8]) -> Fault {
    Fault::at(at, "messages are nested more than 100 deep")
}

/// Number and wire type of a field.
fn tag(rest: &mut &[u8]) -> Result<(u32, u8), Fault> {
    let start = *rest;
    let key = varint(rest)?;
    let Ok(key) = u32::try_from(key) else {
        return Err(Fault::at(start, "a field number is too large"));
    };
    let (number, wire) = (key >> 3, (key & 7) as u8);
    match (number, wire) {
        (_, 6 | 7) => Err(Fault::at(start, "there is no such wire type")),
        (0, _) => Err(Fault::at(start, "a field has the number 0")),
        _ => Ok((number, wire)),
    }
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let start = *rest;
    let length = match start.split_first() {
        Some((&byte, behind)) if byte < 0x80 => {
            *rest = behind;
            usize::from(byte)
        }
        _ => usize::try_from(varint(rest)?).unwrap_or(usize::MAX),
    };
    match rest.split_at_checked(length) {
        Some((taken, behind)) => {
            *rest = behind;
            Ok(taken)
        }
        None => Err(Fault::at(
            start,
            "a length reaches beyond the end of its message",
        )),
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Fault> {
    match rest.split_at_checked(length) {
        Some((taken, behind)) => {
            *rest = behind;
            Ok(taken)
        }
        None => Err(Fault::at(rest, "a message ends inside of a field")),
    }
}

fn varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    let start = *rest;
    let mut value = 0u64;
    for (at, &byte) in start.iter().enumerate().take(10) {
        if at == 9 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *rest = &start[at + 1..];
            return Ok(value);
        }
    }
    Err(match start.len() < 10 {
        true => Fault::at(start, "a message ends inside of a number"),
        false => Fault::at(start, "a number does not fit into 64 bits"),
    })
}
