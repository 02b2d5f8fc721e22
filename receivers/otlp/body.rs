//! A body on its way in: received piece by piece within its limits, copied only where it comes in several.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use hyper::body::Body as _;

use super::budget::{Budget, Share};
use super::refusal::{Refusal, Why};

/// Where pieces come from.
pub(super) enum Incoming {
    H2(RecvStream),
    H1(hyper::body::Incoming),
}

/// Bytes that came so far.
pub(super) struct Gathered {
    share: Share,
    most: u64,
    /// How many there will be, if the sender said it.
    expected: Option<usize>,
    first: Bytes,
    more: BytesMut,
}

/// Shorter bodies do not keep the buffer that they were read into: it may be many times as long.
const COPIED_MAX: usize = 4 << 10;
/// A buffer begins with so much, and doubles: a sender's word for a length is no reason to allocate it.
const BUFFER_FIRST: usize = 64 << 10;

impl Incoming {
    /// The next piece; `None` at the end.
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, Refusal>> {
        let stream = match self {
            Self::H2(stream) => stream,
            Self::H1(stream) => return piece_of_h1(stream).await,
        };
        let piece = match stream.data().await? {
            Ok(piece) => piece,
            Err(why) => return Some(Err(Refusal::new(Why::Gone, why.to_string()))),
        };
        // What is held is counted in the budget of bodies; the window is for what nobody looked at yet.
        let _ = stream.flow_control().release_capacity(piece.len());
        Some(Ok(piece))
    }
}

async fn piece_of_h1(stream: &mut hyper::body::Incoming) -> Option<Result<Bytes, Refusal>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *stream).poll_frame(cx)).await? {
            // What is no data is trailers, which say nothing here.
            Ok(frame) => {
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
            Err(why) => return Some(Err(Refusal::new(Why::Gone, why.to_string()))),
        }
    }
}

impl Gathered {
    pub(super) fn new(budget: &Budget, most: u64) -> Self {
        Self {
            share: budget.share(),
            most,
            expected: None,
            first: Bytes::new(),
            more: BytesMut::new(),
        }
    }

    /// So many there will be, says the sender.
    pub(super) fn expect(&mut self, bytes: u64) -> Result<(), Refusal> {
        if bytes > self.most {
            return Err(Refusal::too_large(self.most));
        }
        self.expected = usize::try_from(bytes).ok();
        Ok(())
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    /// Puts a piece behind those that are there.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), Refusal> {
        let length = self.len() + piece.len();
        if length as u64 > self.most {
            return Err(Refusal::too_large(self.most));
        }
        if piece.is_empty() {
            return Ok(());
        }
        if self.len() == 0 {
            self.charge(piece.len())?;
            self.first = piece;
            return Ok(());
        }
        self.reserve(length)?;
        if self.more.is_empty() {
            let first = std::mem::take(&mut self.first);
            self.more.extend_from_slice(&first);
        }
        self.more.extend_from_slice(&piece);
        Ok(())
    }

    /// All of it, and its share of the budget: held until it is somebody else's.
    pub(super) fn finish(self) -> Result<(Bytes, Share), Refusal> {
        if let Some(expected) = self.expected.filter(|expected| *expected != self.len()) {
            let came = self.len();
            let message = format!("{expected} bytes were announced and {came} came");
            return Err(Refusal::new(Why::Malformed, message));
        }
        let Self {
            share, first, more, ..
        } = self;
        let whole = match more.is_empty() {
            true if first.len() < COPIED_MAX => Bytes::copy_from_slice(&first),
            true => first,
            // What doubling allocated too much would be held as long as a queue holds the body.
            false if more.capacity() > more.len() + more.len() / 8 => Bytes::copy_from_slice(&more),
            false => more.freeze(),
        };
        Ok((whole, share))
    }

    fn reserve(&mut self, length: usize) -> Result<(), Refusal> {
        let capacity = self.more.capacity();
        if length <= capacity {
            return Ok(());
        }
        let doubled = length.max(2 * capacity).max(BUFFER_FIRST);
        let wanted = match self.expected {
            Some(expected) => doubled.min(expected.max(length)),
            None => doubled,
        };
        let wanted = wanted.min(usize::try_from(self.most).unwrap_or(usize::MAX));
        self.charge(wanted.saturating_sub(self.share.bytes() as usize))?;
        self.more.reserve(wanted - self.more.len());
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Refusal> {
        match self.share.take(bytes as u64) {
            true => Ok(()),
            false => Err(Refusal::crowded()),
        }
    }
}
