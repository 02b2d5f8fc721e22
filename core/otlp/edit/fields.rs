//! The fields of a message, one after the other, and how one is written.

use super::Unreadable;
use crate::proto::write_varint;
use crate::response::{take, varint};

/// A message, to be read field by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// One field.
pub(super) struct Field<'a> {
    pub(super) number: u32,
    /// With tag and length.
    pub(super) raw: &'a [u8],
    /// What is in it, if it has a length.
    pub(super) inner: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// The last field of a number that has a length: the last one counts.
    pub(super) fn inner(self, number: u32) -> Option<&'a [u8]> {
        let fields = self.map_while(Result::ok);
        let of_number = fields.filter(|field| field.number == number);
        of_number.filter_map(|field| field.inner).last()
    }

    /// The last field of a number that is a number itself.
    pub(super) fn number(self, number: u32) -> Option<u64> {
        let fields = self.map_while(Result::ok);
        let last = fields.filter(|field| field.number == number).last()?;
        let mut raw = last.raw;
        let tag = varint(&mut raw)?;
        (tag & 7 == 0).then(|| varint(&mut raw))?
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0).ok_or(Unreadable);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let tag = varint(rest)?;
    let inner = match tag & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = varint(rest)?;
            Some(take(rest, usize::try_from(length).ok()?)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        _ => return None,
    };
    let raw = &start[..start.len() - rest.len()];
    let number = u32::try_from(tag >> 3).ok()?;
    Some(Field { number, raw, inner })
}

/// Writes a field that has a length.
pub(super) fn put(to: &mut Vec<u8>, number: u32, inner: &[u8]) {
    write_varint(to, u64::from(number) << 3 | 2);
    write_varint(to, inner.len() as u64);
    to.extend_from_slice(inner);
}
