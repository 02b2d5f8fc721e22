//! Points of one metric together, whatever order they came in.

use tapetum_model::{Metric, Point};

use crate::names;

const NONE: u32 = u32::MAX;

/// The points of each metric, as chains through the batch. Reused from batch to batch.
#[derive(Debug)]
pub(crate) struct ByMetric {
    /// The first and the last point of each metric.
    ends: [(u32, u32); names::METRICS.len()],
    /// The next point of the same metric, by point.
    next: Vec<u32>,
}

impl Default for ByMetric {
    fn default() -> Self {
        Self {
            ends: [(NONE, NONE); names::METRICS.len()],
            next: Vec::new(),
        }
    }
}

impl ByMetric {
    /// Finds the chains of a batch.
    pub(crate) fn find(&mut self, points: &[Point]) {
        self.ends.fill((NONE, NONE));
        self.next.clear();
        self.next.resize(points.len(), NONE);
        for (at, point) in points.iter().enumerate() {
            let (first, last) = &mut self.ends[point.metric as usize];
            match self.next.get_mut(*last as usize) {
                Some(next) => *next = at as u32,
                None => *first = at as u32,
            }
            *last = at as u32;
        }
    }

    /// The points of a metric, in the order of the batch.
    pub(crate) fn of(&self, metric: Metric) -> impl Iterator<Item = usize> {
        let mut at = self.ends[metric as usize].0;
        std::iter::from_fn(move || {
            let found = at as usize;
            at = *self.next.get(found)?;
            Some(found)
        })
    }
}
