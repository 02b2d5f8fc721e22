//! How two batches become one, and one becomes several.

use std::mem;

use bytes::Bytes;
use tapetum_model::{Batch, Origin, Otlp, Payload, Pieces, Records, Signal};

/// Shorter pieces are copied behind each other: each costs more to send alone than to copy.
const COPIED_BELOW: usize = 4 << 10;
/// So many of those bytes become one piece.
const COPIES: usize = 32 << 10;

/// Batches that wait to be one.
pub(super) struct Held {
    batch: Batch,
    bytes: usize,
    /// Short pieces, behind all that the batch has.
    tail: Vec<u8>,
}

/// How large a batch is; `None`: it is not joined with others.
pub(super) fn size_bytes(batch: &Batch) -> Option<usize> {
    match &batch.payload {
        Payload::Otlp(otlp) => Some(otlp.bytes.len()),
        Payload::Records(records) => Some(records.as_rows().rows() * records.row_bytes()),
        Payload::Points(_) => None,
    }
}

/// A batch that is too large in parts that are not, where that is possible. What was lost is told once.
pub(super) fn cut(batch: Batch, bytes_max: usize) -> impl Iterator<Item = Batch> {
    let mut loss = Some(batch.loss);
    let (window, origin) = (batch.window, batch.origin);
    parts(batch.payload, bytes_max)
        .into_iter()
        .map(move |payload| Batch {
            payload,
            window,
            loss: loss.take().unwrap_or_default(),
            origin,
        })
}

impl Held {
    pub(super) fn new(batch: Batch, bytes: usize) -> Self {
        let mut held = Self {
            batch,
            bytes,
            tail: Vec::new(),
        };
        if let Payload::Otlp(otlp) = &mut held.batch.payload {
            let pieces = mem::take(&mut otlp.bytes);
            held.take(pieces);
        }
        held
    }

    pub(super) fn is_of(&self, signal: Signal, origin: Origin) -> bool {
        self.batch.signal() == signal && self.batch.origin == origin
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes over a batch of the same signal and origin.
    pub(super) fn join(&mut self, other: Batch, bytes: usize) {
        self.bytes += bytes;
        self.batch.window.join(&other.window);
        self.batch.loss.add(&other.loss);
        match (&mut self.batch.payload, other.payload) {
            (Payload::Records(rows), Payload::Records(more)) => rows.append(more),
            (Payload::Otlp(otlp), Payload::Otlp(more)) => {
                otlp.items += more.items;
                otlp.peer = otlp.peer.filter(|peer| more.peer == Some(*peer));
                self.take(more.bytes);
            }
            _ => unreachable!("they are of the same signal"),
        }
    }

    /// The one that they have become.
    pub(super) fn finish(mut self) -> Batch {
        self.close_tail();
        self.batch
    }

    fn take(&mut self, pieces: Pieces) {
        for piece in pieces {
            if piece.len() < COPIED_BELOW {
                if self.tail.len() + piece.len() > COPIES {
                    self.close_tail();
                }
                self.tail.extend_from_slice(&piece);
            } else {
                self.close_tail();
                self.push(piece);
            }
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let mut copied = mem::take(&mut self.tail);
            // It may wait long in a queue, which counts its bytes and not its room.
            copied.shrink_to_fit();
            self.push(copied.into());
        }
    }

    fn push(&mut self, piece: Bytes) {
        if let Payload::Otlp(otlp) = &mut self.batch.payload {
            otlp.bytes.push(piece);
        }
    }
}

fn parts(payload: Payload, bytes_max: usize) -> Vec<Payload> {
    match payload {
        Payload::Otlp(otlp) => {
            let whole = otlp.bytes.contiguous();
            let messages = tapetum_otlp::split(otlp.signal, otlp.items, whole, bytes_max);
            let parts = messages.into_iter().map(|message| {
                Payload::Otlp(Otlp {
                    signal: otlp.signal,
                    items: message.items,
                    bytes: message.bytes.into(),
                    peer: otlp.peer,
                })
            });
            parts.collect()
        }
        Payload::Records(rows) => {
            let at_once = (bytes_max / rows.row_bytes()).max(1);
            let mut rest = Some(rows);
            let next = move || {
                let mut part: Records = rest.take()?;
                rest = part.split_off(at_once);
                Some(Payload::Records(part))
            };
            std::iter::from_fn(next).collect()
        }
        points @ Payload::Points(_) => vec![points],
    }
}
