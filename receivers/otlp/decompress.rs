//! Compressed bodies, read only as far as a message may be long.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::budget::Share;
use super::intake::Intake;
use super::refusal::{Refusal, Why};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// As HTTP means it: with zlib's header.
    Deflate,
}

/// What is read here, as a header says it.
pub(super) const READABLE: &str = "identity,gzip,zstd,deflate";

/// What takes longer than about a millisecond is done where no connection waits for the thread.
const AT_ONCE: usize = 64 << 10;
/// Encoders look back on 8 MiB at most, unless they are told to shrink archives.
const WINDOW_LOG_MAX: u32 = 23;
/// The output grows by so much: it is charged before it is allocated.
const STEP: usize = 64 << 10;

impl Encoding {
    /// By its name in a header.
    pub(super) fn named(name: &str) -> Result<Self, Refusal> {
        match name.trim() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "deflate" => Ok(Self::Deflate),
            other => {
                let message = format!("`{other}` is not decompressed here: use one of {READABLE}");
                Err(Refusal::new(Why::Unsupported, message))
            }
        }
    }

    /// The message inside of `body`, and what it takes of the budget.
    pub(super) async fn open(
        self,
        body: Bytes,
        share: Share,
        intake: &Intake,
    ) -> Result<(Bytes, Share), Refusal> {
        if self == Self::Identity {
            return Ok((body, share));
        }
        let (most, mut taken) = (intake.message_max, intake.bodies.share());
        if body.len() < AT_ONCE {
            let message = self.decompressed(&body, most, &mut taken)?;
            return Ok((message, taken));
        }
        let work = tokio::task::spawn_blocking(move || {
            let message = self.decompressed(&body, most, &mut taken);
            drop(share);
            message.map(|message| (message, taken))
        });
        work.await.unwrap_or_else(|why| {
            let message = format!("a message could not be decompressed: {why}");
            Err(Refusal::new(Why::Malformed, message))
        })
    }

    fn decompressed(self, body: &[u8], most: u64, share: &mut Share) -> Result<Bytes, Refusal> {
        let (out, left) = match self {
            Self::Identity => (body.to_vec(), &[][..]),
            Self::Gzip => {
                let mut decoder = GzDecoder::new(body);
                (bounded(&mut decoder, most, share)?, decoder.into_inner())
            }
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(body);
                (bounded(&mut decoder, most, share)?, decoder.into_inner())
            }
            Self::Zstd => {
                // What a frame looks back on is memory too.
                let window = zstd_window(body).min(1 << WINDOW_LOG_MAX);
                if !share.take(window) {
                    return Err(Refusal::crowded());
                }
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
                    .map_err(malformed)?
                    .single_frame();
                decoder.window_log_max(WINDOW_LOG_MAX).map_err(malformed)?;
                (bounded(&mut decoder, most, share)?, decoder.finish())
            }
        };
        match left {
            [] => Ok(out.into()),
            _ => Err(malformed(io::Error::other("more bytes follow its end"))),
        }
    }
}

/// How much a frame of zstd says that it looks back on; nothing where it does not say it.
fn zstd_window(frame: &[u8]) -> u64 {
    let Some((descriptor, [window, ..])) = frame.get(4..).and_then(<[u8]>::split_first) else {
        return 0;
    };
    // A frame in a single segment looks back on its own output, which is counted as that.
    if descriptor & 0x20 != 0 {
        return 0;
    }
    let base = 1u64 << (10 + (window >> 3));
    base + base / 8 * u64::from(window & 7)
}

fn malformed(why: io::Error) -> Refusal {
    Refusal::new(
        Why::Malformed,
        format!("a message cannot be decompressed: {why}"),
    )
}

/// All that `reader` gives, if that is not more than `most` and there is room for it.
fn bounded(reader: &mut impl Read, most: u64, share: &mut Share) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    loop {
        let length = out.len();
        if length as u64 > most {
            return Err(Refusal::too_large(most));
        }
        if length == out.capacity() {
            let more = length.max(STEP);
            if !share.take(more as u64) {
                return Err(Refusal::crowded());
            }
            out.reserve_exact(more);
        }
        let room = (out.capacity() - length) as u64;
        let read = reader.by_ref().take(room).read_to_end(&mut out);
        if read.map_err(malformed)? == 0 {
            break;
        }
    }
    if out.capacity() > out.len() + out.len() / 8 {
        out.shrink_to_fit();
    }
    Ok(out)
}
