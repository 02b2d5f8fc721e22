//! One folder of segments: appended to at one end, read and settled at the other.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::record::{Draft, RECORD_HEAD, SEGMENT_HEAD, SegmentHead};
use crate::segment::{self, Position, Segment};
use crate::{File, Files, Lock, SpoolError, failed};

/// The file whose lock says that a folder is in use.
pub const LOCK: &str = "lock";
/// What a stop writes before what is there, until it is whole.
pub(crate) const PART: &str = "stop.part";
/// A segment from this length on is given up when all of it is delivered, instead of being filled.
const GIVEN_UP_BYTES: u64 = 1 << 20;
/// Enough that a disk which takes it has some room.
const PROBE_BYTES: usize = 256 << 10;

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// When a segment is long enough.
    pub segment_bytes: u64,
    /// Whether a segment is made to outlive a power cut when the next one begins.
    pub durable: bool,
}

/// A folder of segments, open and locked.
pub struct Log {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) folder: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) cursor: Cursor,
    /// In the order of their numbers; the last one is appended to if `tail` is open.
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) tail: Option<Box<dyn File>>,
    pub(crate) reader: Option<(u64, Box<dyn File>)>,
    /// Where reading goes on.
    pub(crate) read: Position,
    pub(crate) settled: Position,
    pub(crate) next_number: u64,
    /// Something was written that a power cut would take.
    pub(crate) dirty: bool,
    pub(crate) _lock: Box<dyn Lock>,
}

/// What had to go to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The segment that is gone, and all before it.
    pub segment: u64,
    /// How many messages in it nobody had read.
    pub messages: u64,
    /// The items of those.
    pub items: u64,
}

impl Log {
    /// Writes messages behind what is there: all of them, or none. Says of each where it ends. The first
    /// `known` of them are not read again, if all before them was read.
    pub fn append(
        &mut self,
        drafts: &[Draft<'_>],
        known: usize,
    ) -> Result<Vec<Position>, SpoolError> {
        let all_read = self.unread().0 == 0;
        let last = self.segments.back().map_or(0, |last| last.length);
        if last >= self.limits.segment_bytes {
            self.roll()?;
        }
        if self.tail.is_none() {
            self.begin()?;
        }
        let path = self.path(self.next_number - 1);
        let (Some(file), Some(last)) = (&mut self.tail, self.segments.back_mut()) else {
            return Ok(Vec::new());
        };
        let heads = heads(drafts).ok_or_else(|| too_long(&path))?;
        let before = last.length;
        self.dirty = true;
        if let Err(why) = file.append(&mut slices(&heads, drafts)) {
            // What cannot be cut off is read by nobody here, and is counted if it is found later.
            if file.truncate(before).is_err() {
                self.tail = None;
            }
            return Err(failed("write to", &path)(why));
        }
        let mut positions = Vec::with_capacity(drafts.len());
        for draft in drafts {
            last.length += draft.cost_bytes();
            last.holds.add(draft.meta.items);
            positions.push(Position {
                segment: last.number,
                offset: last.length,
            });
        }
        for (draft, end) in drafts.iter().zip(&positions).take(known) {
            if all_read {
                last.loaded.add(draft.meta.items);
                self.read = *end;
            }
        }
        Ok(positions)
    }

    /// Says that everything up to there is delivered: it is not read again, and its room is free.
    pub fn settle(&mut self, position: Position) -> Result<(), SpoolError> {
        if position <= self.settled {
            return Ok(());
        }
        self.save(position)?;
        while self.segments.front().is_some_and(|first| {
            first.number < position.segment
                || first.number == position.segment
                    && first.length <= position.offset
                    && first.length >= GIVEN_UP_BYTES
        }) {
            self.remove_first()?;
        }
        Ok(())
    }

    /// Throws the oldest segment away.
    pub fn drop_oldest(&mut self) -> Result<Dropped, SpoolError> {
        let Some(first) = self.segments.front() else {
            return Ok(Dropped::default());
        };
        let unread = first.unread();
        let dropped = Dropped {
            segment: first.number,
            messages: unread.messages,
            items: unread.items,
        };
        let next = self.segments.get(1).map_or(0, |next| next.start);
        let next = Position {
            segment: first.number + 1,
            offset: next,
        };
        self.save(next.max(self.settled))?;
        self.remove_first()?;
        self.read = self.read.max(next);
        Ok(dropped)
    }

    /// Writes messages before all that nobody has read, instead of all that somebody has: what a stop
    /// finds in memory keeps its place.
    pub fn prepend(&mut self, drafts: &[Draft<'_>]) -> Result<(), SpoolError> {
        let next = self.reading().map(|at| &self.segments[at]);
        let (behind, skip) = match next {
            Some(next) if self.read.offset > next.start => (next.number, self.read.offset),
            Some(next) => (next.number, next.start),
            None => (self.next_number, 0),
        };
        let number = behind - 1;
        let (part, path) = (self.folder.join(PART), self.path(number));
        let heads = heads(drafts).ok_or_else(|| too_long(&part))?;
        let mut file = self.files.open(&part).map_err(failed("open", &part))?;
        let head = SegmentHead::bytes(skip);
        file.truncate(0)
            .and_then(|()| file.append(&mut [IoSlice::new(&head)]))
            .and_then(|()| file.append(&mut slices(&heads, drafts)))
            .and_then(|()| file.sync())
            .map_err(failed("write to", &part))?;
        let renamed = self.files.rename(&part, &path);
        renamed.map_err(failed("rename", &part))?;
        self.settled = Position::default();
        let start = Position {
            segment: number,
            offset: SEGMENT_HEAD as u64,
        };
        self.save(start)?;
        // An older cursor would be behind what was written now.
        let folder = &self.folder;
        self.cursor.sync().map_err(failed("sync", folder))?;
        let synced = self.files.sync_folder(folder);
        synced.map_err(failed("sync", folder))?;
        while self.segments.front().is_some_and(|one| one.number < behind) {
            match self
                .segments
                .front()
                .is_some_and(|one| one.number == number)
            {
                true => drop(self.segments.pop_front()),
                false => self.remove_first()?,
            }
        }
        if let Some(next) = self.segments.front_mut().filter(|_| skip > 0) {
            next.start = skip;
        }
        let mut segment = Segment::new(number);
        for draft in drafts {
            segment.length += draft.cost_bytes();
            segment.holds.add(draft.meta.items);
        }
        self.segments.push_front(segment);
        self.read = start;
        self.reader = None;
        Ok(())
    }

    /// Tries whether the disk takes something, without leaving anything there.
    pub fn probe(&self) -> Result<(), SpoolError> {
        let part = self.folder.join(PART);
        let mut file = self.files.open(&part).map_err(failed("open", &part))?;
        let written = file.append(&mut [IoSlice::new(&vec![0; PROBE_BYTES])]);
        let removed = remove(&*self.files, &part);
        written.map_err(failed("write to", &part))?;
        removed
    }

    /// Makes all that was written outlive a power cut.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        if let (Some(tail), Some(last)) = (&self.tail, self.segments.back())
            && self.dirty
        {
            let path = self.path(last.number);
            tail.sync().map_err(failed("sync", &path))?;
            let folder = &self.folder;
            let synced = self.files.sync_folder(folder);
            synced.map_err(failed("sync", folder))?;
        }
        self.dirty = false;
        Ok(())
    }

    /// How many bytes all segments take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// How many messages, with how many items, nobody has read yet.
    #[must_use]
    pub fn unread(&self) -> (u64, u64) {
        let all = self.segments.iter().map(Segment::unread);
        all.fold((0, 0), |(messages, items), one| {
            (messages + one.messages, items.saturating_add(one.items))
        })
    }

    /// Whether something was written that a power cut would take.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Up to where everything was read.
    #[must_use]
    pub fn read_position(&self) -> Position {
        self.read
    }

    /// Begins the next segment.
    fn begin(&mut self) -> Result<(), SpoolError> {
        let number = self.next_number;
        let path = self.path(number);
        let mut file = self.files.open(&path).map_err(failed("make", &path))?;
        if let Err(why) = file.append(&mut [IoSlice::new(&SegmentHead::bytes(0))]) {
            // There may be no room even to remove it; then it is found, and counted, at the next start.
            let _ = self.files.remove(&path);
            return Err(failed("write to", &path)(why));
        }
        self.next_number += 1;
        self.segments.push_back(Segment::new(number));
        self.tail = Some(file);
        Ok(())
    }

    /// Ends the last segment.
    fn roll(&mut self) -> Result<(), SpoolError> {
        if self.limits.durable {
            self.sync()?;
        }
        self.tail = None;
        Ok(())
    }

    pub(crate) fn remove_first(&mut self) -> Result<(), SpoolError> {
        let Some(first) = self.segments.front() else {
            return Ok(());
        };
        let (number, path) = (first.number, self.path(first.number));
        remove(&*self.files, &path)?;
        self.segments.pop_front();
        if self.segments.is_empty() {
            self.tail = None;
        }
        if self
            .reader
            .as_ref()
            .is_some_and(|(open, _)| *open == number)
        {
            self.reader = None;
        }
        Ok(())
    }

    fn save(&mut self, position: Position) -> Result<(), SpoolError> {
        let folder = &self.folder;
        let saved = self.cursor.save(position);
        saved.map_err(failed("write the cursor of", folder))?;
        self.settled = position;
        Ok(())
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(segment::name(number))
    }
}

pub(crate) fn remove(files: &dyn Files, path: &Path) -> Result<(), SpoolError> {
    match files.remove(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path)(why)),
        _ => Ok(()),
    }
}

fn heads(drafts: &[Draft<'_>]) -> Option<Vec<[u8; RECORD_HEAD]>> {
    drafts.iter().map(Draft::head).collect()
}

fn slices<'a>(heads: &'a [[u8; RECORD_HEAD]], drafts: &[Draft<'a>]) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::new();
    for (head, draft) in heads.iter().zip(drafts) {
        slices.push(IoSlice::new(head));
        slices.extend(draft.parts.iter().map(|part| IoSlice::new(part)));
    }
    slices
}

fn too_long(path: &Path) -> SpoolError {
    failed("write a message of more than 4 GiB to", path)(std::io::ErrorKind::FileTooLarge.into())
}
