//! Up to where everything has been delivered: a small file of two slots, written in turn, so that
//! a write that was torn leaves the one before it.

use std::io;
use std::path::Path;

use crate::{File, Files, Position};

const SLOT: usize = 32;

pub(crate) struct Cursor {
    file: Box<dyn File>,
    generation: u64,
}

impl Cursor {
    /// Opens it, and reads what it says; `None` if it says nothing that can be read.
    pub(crate) fn open(files: &dyn Files, path: &Path) -> io::Result<(Self, Option<Position>)> {
        let mut file = files.open(path)?;
        let mut bytes = [0; 2 * SLOT];
        let read = file.read_at(&mut bytes, 0)?;
        let slots = bytes[..read].chunks_exact(SLOT).filter_map(read_slot);
        let newest = slots.max_by_key(|(generation, _)| *generation);
        if newest.is_none() && read > 0 {
            // What is left of a torn slot could become whole when the file grows.
            file.truncate(0)?;
        }
        let mut cursor = Self {
            file,
            generation: newest.map_or(0, |(generation, _)| generation),
        };
        if newest.is_none() {
            // It has its place on the disk before that is full: only what is noted here makes room. Where it
            // is full already, reading is possible all the same.
            let _ = cursor.save(Position::default());
        }
        Ok((cursor, newest.map(|(_, position)| position)))
    }

    pub(crate) fn save(&mut self, position: Position) -> io::Result<()> {
        let generation = self.generation + 1;
        let mut slot = [0; SLOT];
        slot[8..16].copy_from_slice(&generation.to_le_bytes());
        slot[16..24].copy_from_slice(&position.segment.to_le_bytes());
        slot[24..].copy_from_slice(&position.offset.to_le_bytes());
        let checksum = crc32fast::hash(&slot[8..]);
        slot[..4].copy_from_slice(&checksum.to_le_bytes());
        let at = generation % 2 * SLOT as u64;
        self.file.write_at(&slot, at)?;
        self.generation = generation;
        Ok(())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

fn read_slot(slot: &[u8]) -> Option<(u64, Position)> {
    let number = |at: usize| -> Option<u64> {
        let bytes = slot.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    };
    let checksum = u32::from_le_bytes(*slot.first_chunk::<4>()?);
    if crc32fast::hash(slot.get(8..)?) != checksum {
        return None;
    }
    let position = Position {
        segment: number(16)?,
        offset: number(24)?,
    };
    Some((number(8)?, position))
}
