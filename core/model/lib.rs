//! The records that flow and the batches that carry them: data only, no I/O, no async, no clock.
//!
//! A [`Batch`] is the unit between components. It holds rows of one record kind, or metric points,
//! or OTLP bytes that nobody needed to decode. Everything that the engine, `aggregate`, `sample` and
//! the encoders need to know of a record kind they ask through [`Rows`]: a new kind is a new row
//! type here and an encoder, and nothing else changes.

mod attribute;
mod batch;
mod connection;
mod entity;
mod histogram;
mod metric;
mod pieces;
mod point;
mod rows;
mod time;

pub use attribute::{Attr, Value};
pub use batch::{
    Batch, Loss, LossStage, Origin, Otlp, OtlpSignal, Payload, Records, Signal, Window,
};
pub use connection::{
    Connection, Connections, Counters, EndReason, ErrorType, Flags, Process, ResetOrigin, Role,
    SpanId, SpanLink, TraceId,
};
pub use entity::{End, Entity, Service};
pub use histogram::ExponentialHistogram;
pub use metric::{Instrument, Metric};
pub use pieces::Pieces;
pub use point::{Attributes, Exemplar, Point, PointValue};
pub use rows::{Contribution, Orientation, Quantity, Rows, Trace};
pub use time::UnixNanos;
