//! Reads on where reading stopped, past what is damaged.

use bytes::Bytes;

use crate::record::{Head, Meta, RECORD_HEAD};
use crate::segment::{Count, Position};
use crate::{Log, SpoolError, failed};

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is known of it.
    pub meta: Meta,
    /// Its body, as it was written.
    pub body: Bytes,
    /// Behind it: to settle up to here is to be done with it.
    pub position: Position,
}

/// What a read gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// In their order.
    pub messages: Vec<Stored>,
    /// How many messages are left out because they are damaged.
    pub damaged_messages: u64,
    /// The items of those.
    pub damaged_items: u64,
    /// How many bytes that was.
    pub damaged_bytes: u64,
    /// How long the body of the next one is, if it was left for want of room.
    pub next_bytes: u64,
}

impl Log {
    /// Reads on, as long as bodies and `each` beside each of them fit into `room`. `at_least_one`: the first
    /// is read even if it does not fit.
    pub fn load(&mut self, room: u64, each: u64, at_least_one: bool) -> Result<Loaded, SpoolError> {
        let mut loaded = Loaded::default();
        let mut read = 0;
        while let Some(at) = self.reading() {
            let (number, offset) = (self.read.segment, self.read.offset);
            let path = self.path(number);
            let reader = match &mut self.reader {
                Some((open, file)) if *open == number => file,
                _ => {
                    let file = self.files.open(&path).map_err(failed("open", &path))?;
                    &mut self.reader.insert((number, file)).1
                }
            };
            let segment = &mut self.segments[at];
            let mut head = [0; RECORD_HEAD];
            let got = reader.read_at(&mut head, offset);
            let got = got.map_err(failed("read", &path))?;
            let left = segment.length - offset;
            let head = Head::read(&head[..got]).filter(|head| head.cost_bytes() <= left);
            let Some(head) = head else {
                let rest = segment.unread();
                segment.loaded = segment.holds;
                loaded.damaged(rest, left);
                self.read.offset = segment.length;
                continue;
            };
            read += u64::from(head.length) + each;
            let forced = at_least_one && loaded.messages.is_empty();
            if read > room && !forced {
                loaded.next_bytes = u64::from(head.length);
                break;
            }
            let mut body = vec![0; head.length as usize];
            let got = reader.read_at(&mut body, offset + RECORD_HEAD as u64);
            let got = got.map_err(failed("read", &path))?;
            self.read.offset += head.cost_bytes();
            segment.loaded.add(head.meta.items);
            if head.fits(&body[..got]) {
                loaded.messages.push(Stored {
                    meta: head.meta,
                    body: body.into(),
                    position: self.read,
                });
                continue;
            }
            let one = Count {
                messages: 1,
                items: head.meta.items,
            };
            loaded.damaged(one, head.cost_bytes());
        }
        Ok(loaded)
    }

    /// Where in `segments` reading goes on; `None`: at no place, all is read.
    pub(crate) fn reading(&mut self) -> Option<usize> {
        let read = self.read;
        let at = self.segments.iter().position(|segment| {
            segment.number > read.segment
                || segment.number == read.segment && segment.length > read.offset
        })?;
        let segment = &self.segments[at];
        if segment.number > read.segment || segment.start > read.offset {
            self.read = Position {
                segment: segment.number,
                offset: segment.start,
            };
        }
        // A segment of which nothing counts is passed by.
        match segment.length > self.read.offset {
            true => Some(at),
            false => {
                self.read.segment += 1;
                self.read.offset = 0;
                self.reading()
            }
        }
    }
}

impl Loaded {
    fn damaged(&mut self, what: Count, bytes: u64) {
        self.damaged_messages += what.messages;
        self.damaged_items = self.damaged_items.saturating_add(what.items);
        self.damaged_bytes += bytes;
    }
}
