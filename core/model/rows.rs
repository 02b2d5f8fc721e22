//! What every record kind says of itself in one table, so that components need not know kinds.

use std::net::SocketAddr;

use crate::{Attr, End, Metric, Records, SpanId, TraceId, UnixNanos, Value};

/// The rows of one record kind.
///
/// Object-safe, and no method allocates: it is called for each row of each batch.
pub trait Rows {
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// The end on this node, and the other.
    fn ends(&self, row: usize) -> (&End, &End);
    /// The same, to be named by a processor.
    fn ends_mut(&mut self, row: usize) -> (&mut End, &mut End);
    /// Whether the near end is the one that began the exchange (the client).
    fn initiated_here(&self, row: usize) -> bool;
    /// The span that a row is, for samplers; `None` for a row that only updates metrics.
    fn trace(&self, row: usize) -> Option<Trace>;
    /// The same for all rows of one long-lived thing (a connection): what it raised when it began is
    /// taken away in the same place when it ends. Two that share it only share that place.
    fn identity(&self, row: usize) -> u64;
    /// Makes of a span a row that only updates metrics: a sampler did not choose it.
    fn unspan(&mut self, row: usize);
    /// A dimension of a row; the direction is not one, it follows from the orientation.
    fn dimension(&self, row: usize, attr: &Attr) -> Option<Value>;
    /// Rows that have the same one agree in every dimension and in who began the exchange.
    fn variant(&self, row: usize) -> u64;
    /// The metrics that rows of this kind add to.
    fn contributions(&self) -> &'static [Contribution];
    /// What a row adds to the `index`th of [`Rows::contributions`]; `None` if nothing.
    fn quantity(&self, row: usize, index: usize) -> Option<Quantity>;
    /// When a row's measures were taken.
    fn time(&self, row: usize) -> UnixNanos;
    /// When that began of which a row is a part: who had an address then has been its end ever since.
    fn began(&self, row: usize) -> UnixNanos;
    /// Who really answered, where that is another address than the far end's.
    fn answered_by(&self, row: usize) -> Option<SocketAddr>;
    /// Takes out the rows for which `taken` is true, in their order; called once a row, in order.
    fn take(&mut self, taken: &mut dyn FnMut(usize) -> bool) -> Records;
    /// Drops the rows for which `keep` is false; called once a row, in order.
    fn retain(&mut self, keep: &mut dyn FnMut(usize) -> bool);
}

/// One line of a record kind's table: a metric and how a row's ends stand in it.
#[derive(Debug)]
pub struct Contribution {
    /// The metric that is added to.
    pub metric: Metric,
    /// Which end is the point's source.
    pub orientation: Orientation,
    /// Whether the point says `network.io.direction`.
    pub directed: bool,
    /// The dimensions of the point beyond its ends and its direction.
    pub dimensions: &'static [Attr],
}

/// Which end of a row is the source of a point, and so the point's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// The near end sent it: source is near, direction `transmit`.
    Sent,
    /// The far end sent it: source is far, direction `receive`.
    Received,
    /// Source is who began the exchange: `transmit` at that end, `receive` at the other.
    Initiator,
}

/// What a row adds to a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// To a counter or an up-down counter.
    Add(i64),
    /// To a histogram, in the metric's unit.
    Observe(f64),
}

/// What a sampler needs of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace; both ends of a connection have the same.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// The span ended in an error.
    pub error: bool,
}
