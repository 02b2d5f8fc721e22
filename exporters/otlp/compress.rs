//! Request compression, and what to try when a server refuses one.

use std::io::{self, Read as _, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use tapetum_model::Pieces;

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    Gzip,
    Zstd,
    None,
}

/// Level 1 of both: spans repeat themselves so much that the higher levels cost five times the CPU
/// for a third of the bytes.
const LEVEL: u32 = 1;

/// So much is compressed in about a millisecond.
const AT_ONCE: usize = 256 << 10;
/// An answer is some numbers and a sentence: more than this is not read.
const ANSWER_MAX: usize = 64 << 10;

/// What [`decompress`] reads.
pub(super) const READABLE: &str = "identity,gzip,zstd";

impl Compression {
    /// Its value in `grpc-encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::None => "identity",
        }
    }

    /// What to try where a server refuses this one.
    pub(super) fn instead(self) -> Option<Self> {
        match self {
            Self::Zstd => Some(Self::Gzip),
            Self::Gzip => Some(Self::None),
            Self::None => None,
        }
    }

    /// The compressed message. What takes longer than a millisecond is done where no other task waits
    /// for the thread.
    pub(super) async fn compressed(self, message: &Pieces) -> io::Result<Pieces> {
        if self == Self::None || message.len() < AT_ONCE {
            return self.compress(message);
        }
        let message = message.clone();
        let work = tokio::task::spawn_blocking(move || self.compress(&message));
        work.await.unwrap_or_else(|why| Err(io::Error::other(why)))
    }

    fn compress(self, message: &Pieces) -> io::Result<Pieces> {
        match self {
            Self::None => Ok(message.clone()),
            Self::Gzip => {
                let out = Vec::with_capacity(message.len() / 8 + 64);
                let mut encoder = GzEncoder::new(out, flate2::Compression::new(LEVEL));
                write_all(&mut encoder, message)?;
                Ok(encoder.finish()?.into())
            }
            Self::Zstd => {
                let out = Vec::with_capacity(message.len() / 8 + 64);
                let mut encoder = zstd::stream::Encoder::new(out, LEVEL as i32)?;
                encoder.set_pledged_src_size(Some(message.len() as u64))?;
                write_all(&mut encoder, message)?;
                Ok(encoder.finish()?.into())
            }
        }
    }
}

fn write_all(to: &mut impl Write, message: &Pieces) -> io::Result<()> {
    message.iter().try_for_each(|piece| to.write_all(piece))
}

/// The server's answer, decompressed; `None` if it cannot be.
pub(super) fn decompress(encoding: Option<&str>, message: &[u8]) -> Option<Vec<u8>> {
    match encoding? {
        "gzip" => {
            let mut out = Vec::new();
            let mut bounded = GzDecoder::new(message).take(ANSWER_MAX as u64);
            bounded.read_to_end(&mut out).ok()?;
            Some(out)
        }
        "zstd" => zstd::bulk::decompress(message, ANSWER_MAX).ok(),
        _ => None,
    }
}
