//! OTLP as protobuf, written straight from rows and points.

mod ends;
mod points;
mod row;
mod spans;
pub(crate) mod wire;

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use points::PointEncoder;
pub use spans::SpanEncoder;
pub(crate) use wire::varint as write_varint;

/// No message grows beyond this: half of what a gRPC server takes unless it was told otherwise, because an
/// exporter may hold two.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// An export request of one signal.
#[derive(Clone, Debug)]
pub struct Message {
    /// Spans or data points in it.
    pub items: u64,
    /// The protobuf message.
    pub bytes: Bytes,
}

/// Gives back what a message did not need, if that is much: a little slack costs less than to move
/// the message, and an allocator that is asked for the same size again has it at hand.
fn finished(mut out: Vec<u8>) -> Bytes {
    if out.capacity() - out.len() > out.len() / 8 {
        out.shrink_to_fit();
    }
    out.into()
}
