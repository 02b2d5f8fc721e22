//! OTLP as JSON, one message a line, written straight from rows and points.
//!
//! As the protocol says: ids in hex, 64-bit integers as text, enums as numbers, names in camel case.

mod points;
mod spans;
#[cfg(test)]
mod tests;
mod value;

use tapetum_model::{Connections, Loss, Point, Window};

use crate::Agent;
use crate::by_metric::ByMetric;
use crate::groups::Groups;

/// A line that is longer ends at the next span or point.
const LINE_BYTES: usize = 1 << 20;

/// Writes OTLP/JSON lines.
pub struct Lines {
    agent: Agent,
    groups: Groups,
    by_metric: ByMetric,
    line_bytes: usize,
    community_id: bool,
}

impl Lines {
    /// A writer for what this agent sees.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self {
            agent,
            groups: Groups::default(),
            by_metric: ByMetric::default(),
            line_bytes: LINE_BYTES,
            community_id: false,
        }
    }

    /// Whether each span says its Community ID.
    #[must_use]
    pub fn with_community_id(mut self, wanted: bool) -> Self {
        self.community_id = wanted;
        self
    }

    /// Writes the rows that are spans; each line is given with the number of its spans. Answers how
    /// many rows are no span.
    pub fn spans(
        &mut self,
        rows: &Connections,
        window: &Window,
        loss: &Loss,
        give: impl FnMut(u64, Vec<u8>),
    ) -> u64 {
        self.groups.find(rows);
        spans::write(self, rows, window, loss, give);
        (rows.len() - self.groups.spans()) as u64
    }

    /// Writes points; each line is given with the number of its points.
    pub fn points(&mut self, points: &[Point], give: impl FnMut(u64, Vec<u8>)) {
        self.by_metric.find(points);
        points::write(self, points, give);
    }
}
