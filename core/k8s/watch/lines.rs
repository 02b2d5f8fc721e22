//! Lines out of a stream that breaks anywhere.

use super::api::{ApiError, Stream};

/// A line is one event: an object is at most a few MiB in the API server's own store.
const LINE_BYTES_MAX: usize = 16 << 20;
/// What the buffer may keep between lines.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// Reads a stream line by line.
pub(crate) struct Lines {
    stream: Stream,
    buffer: Vec<u8>,
    /// Where the next line begins.
    begin: usize,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            begin: 0,
            searched: 0,
        }
    }

    /// The next whole line; `None` at the end. What is cut off there is no line. May be dropped while it
    /// waits: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>, ApiError> {
        loop {
            let rest = &self.buffer[self.searched..];
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.begin..self.searched + at;
                self.begin = line.end + 1;
                self.searched = self.begin;
                return Ok(Some(&self.buffer[line]));
            }
            self.searched = self.buffer.len();
            self.make_room();
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(ApiError::Other(format!(
                    "with an event of more than {LINE_BYTES_MAX} bytes"
                )));
            }
            match self.stream.next().await? {
                Some(part) => self.buffer.extend_from_slice(&part),
                None => return Ok(None),
            }
        }
    }

    /// Drops the lines that were read.
    fn make_room(&mut self) {
        self.buffer.drain(..self.begin);
        self.searched -= self.begin;
        self.begin = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        }
    }
}
