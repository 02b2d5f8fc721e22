//! Opens a folder: finds out what of it is whole, and cuts off, sets aside and counts what is not.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::log::{LOCK, Limits, Log, PART, remove};
use crate::record::{Head, RECORD_HEAD, SEGMENT_HEAD, SegmentHead};
use crate::segment::{self, Segment};
use crate::{File, Files, SpoolError, failed};

/// A log, and what was found in it.
pub struct Opened {
    /// Ready to be read and appended to.
    pub log: Log,
    /// What is in it.
    pub recovered: Recovered,
}

/// What a folder held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Messages that were not delivered.
    pub messages: u64,
    /// The items of those.
    pub items: u64,
    /// Bytes that were cut off or set aside, because they are no records.
    pub damaged_bytes: u64,
    /// Segments that were set aside, and why; they are not deleted.
    pub set_aside: Vec<String>,
}

/// What one file is.
enum Found {
    Segment {
        segment: Segment,
        skip: u64,
    },
    /// To be left alone, and why.
    Aside(String),
    /// Begun, and nothing written to it.
    Empty,
}

impl Log {
    /// Opens the folder, makes it if it is not there, and locks it.
    ///
    /// # Errors
    /// Somebody else has it open; or the file system says no.
    pub fn open(
        files: Arc<dyn Files>,
        folder: &Path,
        limits: Limits,
    ) -> Result<Opened, SpoolError> {
        let made = files.create_folder(folder);
        made.map_err(failed("make the folder", folder))?;
        let lock = files
            .lock(&folder.join(LOCK))
            .map_err(|why| match why.kind() {
                io::ErrorKind::WouldBlock => SpoolError::Busy(folder.to_owned()),
                _ => failed("lock", folder)(why),
            })?;
        remove(&*files, &folder.join(PART))?;
        let opened = Cursor::open(&*files, &folder.join("cursor"));
        let (cursor, settled) = opened.map_err(failed("read the cursor of", folder))?;
        let settled = settled.unwrap_or_default();
        let names = files.list(folder).map_err(failed("list", folder))?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::number(name))
            .collect();
        numbers.sort_unstable();
        // Room before the first is left for what a stop writes before it.
        let last = numbers.last().copied().unwrap_or(1 << 32);
        let mut log = Self {
            folder: folder.to_owned(),
            limits,
            cursor,
            segments: VecDeque::new(),
            tail: None,
            reader: None,
            read: settled,
            settled,
            next_number: last.max(settled.segment) + 1,
            dirty: false,
            _lock: lock,
            files,
        };
        let mut recovered = Recovered::default();
        let mut skips = (0, 0);
        for number in numbers {
            log.find(number, &mut skips, &mut recovered)?;
        }
        (recovered.messages, recovered.items) = log.unread();
        Ok(Opened { log, recovered })
    }

    /// Takes up one file. `skips`: the segment before it, and what that one says of this.
    fn find(
        &mut self,
        number: u64,
        skips: &mut (u64, u64),
        recovered: &mut Recovered,
    ) -> Result<(), SpoolError> {
        let path = self.path(number);
        if number < self.settled.segment {
            return remove(&*self.files, &path);
        }
        let mut start = match *skips {
            (before, skip) if before + 1 == number => skip,
            _ => 0,
        };
        if number == self.settled.segment {
            start = start.max(self.settled.offset);
        }
        let mut file = self.files.open(&path).map_err(failed("open", &path))?;
        let length = file.length().map_err(failed("open", &path))?;
        let found = read(&*file, number, start, length).map_err(failed("read", &path))?;
        match found {
            Found::Empty => remove(&*self.files, &path),
            Found::Aside(why) => {
                recovered.damaged_bytes += length;
                recovered
                    .set_aside
                    .push(format!("{}: {why}", path.display()));
                let _ = self.files.rename(&path, &path.with_extension("aside"));
                Ok(())
            }
            Found::Segment { segment, skip } => {
                *skips = (number, skip);
                if segment.length < length {
                    recovered.damaged_bytes += length - segment.length;
                    // Where it cannot be cut off it is passed by all the same.
                    let _ = file.truncate(segment.length);
                }
                self.segments.push_back(segment);
                // The process that wrote it may have ended before it did this.
                match self.limits.durable {
                    true => file.sync().map_err(failed("sync", &path)),
                    false => Ok(()),
                }
            }
        }
    }
}

/// Reads heads from `start` on, up to the first that is none.
fn read(file: &dyn File, number: u64, start: u64, length: u64) -> io::Result<Found> {
    let mut head = [0; SEGMENT_HEAD];
    let got = file.read_at(&mut head, 0)?;
    let skip = match SegmentHead::read(&head[..got]) {
        SegmentHead::Known { skip } => skip,
        _ if length == 0 => return Ok(Found::Empty),
        SegmentHead::Broken => {
            return Ok(Found::Aside("it does not begin like a segment".to_owned()));
        }
        SegmentHead::Foreign(version) => {
            let why = format!("its format is {version}, which this version does not know");
            return Ok(Found::Aside(why));
        }
    };
    let mut segment = Segment::new(number);
    segment.start = start.max(SEGMENT_HEAD as u64).min(length);
    let mut at = segment.start;
    while at < length {
        let mut head = [0; RECORD_HEAD];
        let got = file.read_at(&mut head, at)?;
        let head = Head::read(&head[..got]).filter(|head| head.cost_bytes() <= length - at);
        let Some(head) = head else { break };
        segment.holds.add(head.meta.items);
        at += head.cost_bytes();
    }
    segment.length = at;
    Ok(Found::Segment { segment, skip })
}
