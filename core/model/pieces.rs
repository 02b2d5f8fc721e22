//! Bytes that lie in several places: messages that are merged without being copied.

use std::iter;

use bytes::{Bytes, BytesMut};

/// One run of bytes, in one piece or in more. Two OTLP messages that are concatenated are one, so a
/// merged message is the list of those that it was made of.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    first: Bytes,
    /// Allocates nothing where there is one piece only.
    more: Vec<Bytes>,
}

impl Pieces {
    /// How many bytes all of them have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().all(Bytes::is_empty)
    }

    /// Puts bytes behind those that are there.
    pub fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.more.push(piece);
        }
    }

    /// Puts all pieces of `other` behind those that are there.
    pub fn append(&mut self, other: Self) {
        self.push(other.first);
        other.more.into_iter().for_each(|piece| self.push(piece));
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        iter::once(&self.first).chain(&self.more)
    }

    /// All of it in one piece; copied only where it lies in several.
    #[must_use]
    pub fn contiguous(&self) -> Bytes {
        if self.more.is_empty() {
            return self.first.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = iter::Chain<iter::Once<Bytes>, std::vec::IntoIter<Bytes>>;

    fn into_iter(self) -> Self::IntoIter {
        iter::once(self.first).chain(self.more)
    }
}

impl From<Bytes> for Pieces {
    fn from(first: Bytes) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Pieces {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(all: I) -> Self {
        let mut pieces = Self::default();
        all.into_iter().for_each(|piece| pieces.push(piece));
        pieces
    }
}

/// What they say together, however they are cut.
impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Pieces {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_say_the_same_however_they_are_cut() {
        let cut = |words: &[&'static str]| -> Pieces {
            let pieces = words.iter().map(|word| Bytes::from_static(word.as_bytes()));
            pieces.collect()
        };
        let mut left = cut(&["", "spans", " and"]);
        left.append(cut(&[" ", "", "more"]));
        assert_eq!((left.len(), left.iter().count()), (14, 4));
        assert_eq!(left, cut(&["spans and more"]));
        assert_eq!(&left.contiguous()[..], b"spans and more");
        assert_ne!(left, cut(&["spans and mode"]));
        assert!(cut(&["", ""]).is_empty() && !left.is_empty());
    }

    #[test]
    fn one_piece_is_never_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let pieces = Pieces::from(bytes.clone());
        assert_eq!(pieces.contiguous().as_ptr(), bytes.as_ptr());
    }
}
