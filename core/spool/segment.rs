//! One file of a log, as the log knows it.

use crate::record::SEGMENT_HEAD;

/// A place between two records: everything before it is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// The offset in it.
    pub offset: u64,
}

/// How much is in a file or in a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    pub(crate) items: u64,
}

pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Where its first record is that counts.
    pub(crate) start: u64,
    /// Up to where it is whole.
    pub(crate) length: u64,
    /// From `start` on.
    pub(crate) holds: Count,
    /// Of these, what was read.
    pub(crate) loaded: Count,
}

impl Segment {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            start: SEGMENT_HEAD as u64,
            length: SEGMENT_HEAD as u64,
            holds: Count::default(),
            loaded: Count::default(),
        }
    }

    /// What is in it and was not read yet.
    pub(crate) fn unread(&self) -> Count {
        Count {
            messages: self.holds.messages - self.loaded.messages,
            items: self.holds.items.saturating_sub(self.loaded.items),
        }
    }
}

impl Count {
    pub(crate) fn add(&mut self, items: u64) {
        self.messages += 1;
        // What a disk says is not believed to add up.
        self.items = self.items.saturating_add(items);
    }
}

/// The file of a segment: its number in hexadecimal, so that names are in its order.
pub(crate) fn name(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// The number of a file; `None`: it is no segment.
pub(crate) fn number(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".segment")?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (name(number) == file).then_some(number)
}
