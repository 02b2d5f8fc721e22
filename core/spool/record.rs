//! The bytes of a segment: its header, and the head of each record. All numbers are little-endian.
//!
//! ```text
//! segment  magic[8] version[4] checksum[4] skip[8]                       then records
//! record   checksum[4] body's checksum[4] length[4] kind[1] 0[3]
//!          items[8] lost[3 x 8]                                          then the body
//! ```

/// What a segment of this version says it is.
pub const VERSION: u32 = 1;
/// The length of a segment's header.
pub const SEGMENT_HEAD: usize = 24;
/// The length of a record's head.
pub const RECORD_HEAD: usize = 48;

const MAGIC: [u8; 8] = *b"tapspool";

/// What is known of a message without its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Which kind of message: the writer's own numbers.
    pub kind: u8,
    /// How many items it holds.
    pub items: u64,
    /// What it tells was lost before it, by stage.
    pub lost: [u64; 3],
}

/// A message that is about to be written.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// What is known of it.
    pub meta: Meta,
    /// Its body, in one or more parts.
    pub parts: Vec<&'a [u8]>,
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is known of the message.
    pub meta: Meta,
    /// The length of its body.
    pub length: u32,
    body_checksum: u32,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentHead {
    /// One of this version.
    Known {
        /// Where the segment behind this one begins to count; 0: at its begin.
        skip: u64,
    },
    /// One of another version.
    Foreign(u32),
    /// None at all.
    Broken,
}

impl Draft<'_> {
    /// What the record takes of the disk.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        (RECORD_HEAD + self.length()) as u64
    }

    /// The head that goes before its body; `None`: no record can be so long.
    #[must_use]
    pub fn head(&self) -> Option<[u8; RECORD_HEAD]> {
        let length = u32::try_from(self.length()).ok()?;
        let mut checksum = crc32fast::Hasher::new();
        self.parts.iter().for_each(|part| checksum.update(part));
        let mut head = [0; RECORD_HEAD];
        head[4..8].copy_from_slice(&checksum.finalize().to_le_bytes());
        head[8..12].copy_from_slice(&length.to_le_bytes());
        head[12] = self.meta.kind;
        head[16..24].copy_from_slice(&self.meta.items.to_le_bytes());
        for (lost, into) in self.meta.lost.iter().zip(head[24..].chunks_exact_mut(8)) {
            into.copy_from_slice(&lost.to_le_bytes());
        }
        let checksum = crc32fast::hash(&head[4..]);
        head[..4].copy_from_slice(&checksum.to_le_bytes());
        Some(head)
    }

    fn length(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

impl Head {
    /// Reads the head of a record; `None` if it is none, or is damaged.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD_HEAD] = bytes.first_chunk()?;
        if crc32fast::hash(&bytes[4..]) != u32_at(bytes, 0) {
            return None;
        }
        Some(Self {
            meta: Meta {
                kind: bytes[12],
                items: u64_at(bytes, 16),
                lost: [24, 32, 40].map(|at| u64_at(bytes, at)),
            },
            length: u32_at(bytes, 8),
            body_checksum: u32_at(bytes, 4),
        })
    }

    /// What the record takes of the disk.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        RECORD_HEAD as u64 + u64::from(self.length)
    }

    /// Whether this is the body that was written.
    #[must_use]
    pub fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.length as usize && crc32fast::hash(body) == self.body_checksum
    }
}

impl SegmentHead {
    /// The header of a segment of this version.
    #[must_use]
    pub fn bytes(skip: u64) -> [u8; SEGMENT_HEAD] {
        let mut head = [0; SEGMENT_HEAD];
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        head[16..].copy_from_slice(&skip.to_le_bytes());
        let checksum = segment_checksum(&head);
        head[12..16].copy_from_slice(&checksum.to_le_bytes());
        head
    }

    /// Reads a header.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEAD>() else {
            return Self::Broken;
        };
        let version = u32_at(bytes, 8);
        if bytes[..8] != MAGIC {
            Self::Broken
        } else if version != VERSION {
            // Only its magic and its version mean the same in every version.
            Self::Foreign(version)
        } else if segment_checksum(bytes) != u32_at(bytes, 12) {
            Self::Broken
        } else {
            Self::Known {
                skip: u64_at(bytes, 16),
            }
        }
    }
}

fn segment_checksum(head: &[u8; SEGMENT_HEAD]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&head[..12]);
    checksum.update(&head[16..]);
    checksum.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft<'static> {
        Draft {
            meta: Meta {
                kind: 3,
                items: 1 << 40,
                lost: [1, 2, 3],
            },
            parts: vec![b"one", b"", b"two"],
        }
    }

    #[test]
    fn a_head_says_what_was_written_and_every_damaged_bit_is_seen() {
        let bytes = draft().head().unwrap();
        let head = Head::read(&bytes).unwrap();
        assert_eq!((head.meta, head.length), (draft().meta, 6));
        assert!(head.fits(b"onetwo") && !head.fits(b"onetwp") && !head.fits(b"onetw"));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::read(&damaged), None, "bit {bit}");
        }
        assert_eq!(Head::read(&[0; RECORD_HEAD]), None, "zeros are no record");
        assert_eq!(Head::read(&bytes[1..]), None);
    }

    #[test]
    fn a_segment_of_another_version_is_told_from_a_broken_one() {
        let bytes = SegmentHead::bytes(77);
        assert_eq!(SegmentHead::read(&bytes), SegmentHead::Known { skip: 77 });
        let mut other = bytes;
        other[8] = 9;
        assert_eq!(SegmentHead::read(&other), SegmentHead::Foreign(9));
        for at in (0..8).chain(12..SEGMENT_HEAD) {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(
                SegmentHead::read(&damaged),
                SegmentHead::Broken,
                "byte {at}"
            );
        }
        assert_eq!(SegmentHead::read(&bytes[..23]), SegmentHead::Broken);
    }
}
