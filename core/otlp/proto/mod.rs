//! OTLP as protobuf, written straight from rows and points.

mod ends;
mod points;
mod row;
mod spans;
mod wire;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use points::PointEncoder;
pub use spans::SpanEncoder;

/// No message grows beyond this: 4 MiB is what a gRPC server takes unless it was told otherwise.
pub const MESSAGE_BYTES_MAX: usize = (4 << 20) - (16 << 10);

/// An export request of one signal.
#[derive(Clone, Debug)]
pub struct Message {
    /// Spans or data points in it.
    pub items: u64,
    /// The protobuf message.
    pub bytes: Bytes,
}
