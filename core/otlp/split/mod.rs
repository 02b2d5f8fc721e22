//! Cuts an OTLP request that is too large into several that are not, without decoding it.
//!
//! It is cut between its resources; where one of them alone is too large between its scopes, then between
//! spans, log records, metrics, data points. What stands beside the parts of a message (its resource, its
//! scope, a metric's name and unit) is written again at the head of each. An item is never cut, and where
//! that head is a sixteenth of a whole request it is not repeated: then a request is larger than it should
//! be, but all of them together stay below four times what came in.

#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use tapetum_model::OtlpSignal;

use crate::Message;
use crate::proto::write_varint;
use crate::response::{take, varint};

/// The fields that hold the parts of a message, from a request down to its items.
type Levels = &'static [&'static [u32]];

const TRACES_AND_LOGS: Levels = &[&[1], &[2], &[2]];
/// The fourth: gauge, sum, histogram, exponential histogram, summary.
const METRICS: Levels = &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]];

/// The longest tag and length.
const HEAD_MAX: usize = 15;
/// A head of more than this share of a request is not repeated.
const HEAD_SHARE: usize = 16;
/// Smaller requests would be made of heads alone.
const BYTES_MIN: usize = 1 << 10;

/// A message of some level, as long as it may be.
struct Part {
    items: u64,
    body: Vec<u8>,
}

/// One of the parts that a message consists of.
struct Child<'a> {
    number: u32,
    /// With tag and length.
    raw: &'a [u8],
    inner: &'a [u8],
}

/// A field of a message.
struct Field<'a> {
    number: u32,
    /// What is in it, if it has a length.
    inner: Option<&'a [u8]>,
    /// With tag and length.
    raw: &'a [u8],
}

struct Cutter {
    bytes_max: usize,
}

/// The request in messages of at most `bytes_max`, a kibibyte at least, where that is possible. What cannot be read, or does not
/// hold the `items` that it should, stays whole.
#[must_use]
pub fn split(signal: OtlpSignal, items: u64, request: Bytes, bytes_max: usize) -> Vec<Message> {
    let whole = |bytes| vec![Message { items, bytes }];
    let bytes_max = bytes_max.max(BYTES_MIN);
    if request.len() <= bytes_max {
        return whole(request);
    }
    let levels = match signal {
        OtlpSignal::Traces | OtlpSignal::Logs => TRACES_AND_LOGS,
        OtlpSignal::Metrics => METRICS,
    };
    match (Cutter { bytes_max }).cut(levels, &request, bytes_max) {
        Some(parts) if parts.iter().map(|part| part.items).sum::<u64>() == items => {
            let messages = parts.into_iter().map(|part| Message {
                items: part.items,
                bytes: part.body.into(),
            });
            messages.collect()
        }
        _ => whole(request),
    }
}

impl Cutter {
    /// A message in parts of at most `room`; `None`: it cannot be read.
    fn cut(&self, levels: Levels, message: &[u8], room: usize) -> Option<Vec<Part>> {
        let (head, children) = parted(levels, message)?;
        if head.len() > self.bytes_max / HEAD_SHARE {
            let items = count(levels, message)?;
            let body = message.to_vec();
            return Some(vec![Part { items, body }]);
        }
        let mut parts = Vec::new();
        let mut open = Part::new(&head);
        for child in children {
            let below = &levels[1..];
            let inner_room = room.saturating_sub(head.len() + HEAD_MAX);
            if head.len() + child.raw.len() <= room || below.is_empty() {
                let items = count(below, child.inner)?;
                open.add(items, child.raw, &head, room, &mut parts);
                continue;
            }
            for part in self.cut(below, child.inner, inner_room)? {
                let mut raw = Vec::with_capacity(part.body.len() + HEAD_MAX);
                write_varint(&mut raw, u64::from(child.number) << 3 | 2);
                write_varint(&mut raw, part.body.len() as u64);
                raw.extend_from_slice(&part.body);
                open.add(part.items, &raw, &head, room, &mut parts);
            }
        }
        if open.body.len() > head.len() || parts.is_empty() {
            parts.push(open);
        }
        Some(parts)
    }
}

impl Part {
    fn new(head: &[u8]) -> Self {
        Self {
            items: 0,
            body: head.to_vec(),
        }
    }

    /// Takes a child; where it has no room for it the part is done and another begins.
    fn add(&mut self, items: u64, raw: &[u8], head: &[u8], room: usize, done: &mut Vec<Self>) {
        if self.body.len() > head.len() && self.body.len() + raw.len() > room {
            done.push(std::mem::replace(self, Self::new(head)));
        }
        self.items += items;
        self.body.extend_from_slice(raw);
    }
}

/// What stands beside the parts of a message, and these.
fn parted(levels: Levels, message: &[u8]) -> Option<(Vec<u8>, Vec<Child<'_>>)> {
    let (mut head, mut children) = (Vec::new(), Vec::new());
    let mut rest = message;
    while !rest.is_empty() {
        let Field { number, inner, raw } = field(&mut rest)?;
        match inner {
            Some(inner) if levels[0].contains(&number) => {
                children.push(Child { number, raw, inner });
            }
            _ => head.extend_from_slice(raw),
        }
    }
    Some((head, children))
}

/// How many items a message holds; what has no levels below is one itself.
fn count(levels: Levels, message: &[u8]) -> Option<u64> {
    let Some((numbers, below)) = levels.split_first() else {
        return Some(1);
    };
    let (mut rest, mut items) = (message, 0);
    while !rest.is_empty() {
        let field = field(&mut rest)?;
        if let Some(inner) = field.inner
            && numbers.contains(&field.number)
        {
            items += count(below, inner)?;
        }
    }
    Some(items)
}

/// The next field.
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
    Some(Field { number, inner, raw })
}
