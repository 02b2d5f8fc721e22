//! Connection rows as batches carry them: shared by all pipelines that a receiver hands them to, until one
//! of them changes something.

use std::ops::Deref;
use std::sync::Arc;

use super::{Connection, Flags};

/// Rows that are copied by whoever changes them first, and only then. That a sampler did not choose a span
/// stands beside the rows, so that it need not copy them: see [`Connections::is_span`].
#[derive(Clone, Debug, Default)]
pub struct Connections {
    pub(super) rows: Arc<Vec<Connection>>,
    /// A bit for each row that is no span any more, whatever its flags say; empty: there is none.
    unspanned: Vec<u64>,
}

impl Connections {
    /// Whether the row is a span, and stayed one so far.
    #[must_use]
    pub fn is_span(&self, row: usize) -> bool {
        let word = self.unspanned.get(row / 64);
        self.rows[row].flags.has(Flags::SPAN) && word.is_none_or(|word| word >> (row % 64) & 1 == 0)
    }

    /// The rows that are spans.
    pub fn spans(&self) -> impl Iterator<Item = &Connection> {
        let spans = self.iter().enumerate();
        spans.filter_map(|(at, row)| self.is_span(at).then_some(row))
    }

    /// The rows, each with flags that say whether it still is a span.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Connection> {
        if !self.unspanned.is_empty() {
            let rows = Arc::make_mut(&mut self.rows);
            for (at, row) in rows.iter_mut().enumerate() {
                let word = self.unspanned.get(at / 64);
                if word.is_some_and(|word| word >> (at % 64) & 1 == 1) {
                    row.flags = row.flags.without(Flags::SPAN);
                }
            }
        }
        Arc::unwrap_or_clone(self.rows)
    }

    pub(super) fn unspan(&mut self, row: usize) {
        if self.unspanned.len() <= row / 64 {
            self.unspanned.resize(self.rows.len().div_ceil(64), 0);
        }
        self.unspanned[row / 64] |= 1 << (row % 64);
    }
}

impl From<Vec<Connection>> for Connections {
    fn from(rows: Vec<Connection>) -> Self {
        Self {
            rows: Arc::new(rows),
            unspanned: Vec::new(),
        }
    }
}

/// The rows as their receiver wrote them: their flags do not say what a sampler said since.
impl Deref for Connections {
    type Target = [Connection];

    fn deref(&self) -> &[Connection] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, End, Role, Rows, SpanId, TraceId, UnixNanos};

    fn rows(count: usize) -> Connections {
        let end = || End::of(([10, 0, 0, 1], 80).into());
        let row = |_| Connection {
            local: end(),
            remote: end(),
            answered_by: None,
            role: Role::Client,
            process: None,
            trace: TraceId::default(),
            span: SpanId::default(),
            parent: None,
            link: None,
            start: UnixNanos(0),
            end: UnixNanos(0),
            born: UnixNanos(0),
            flags: Flags::SPAN | Flags::CLOSED,
            error: None,
            end_reason: None,
            reset_by: None,
            delta: Counters::default(),
            period: Counters::default(),
            total: Counters::default(),
            rtt_smoothed_us: 0,
            rtt_min_us: 0,
            rtt_variance_us: 0,
            handshake_us: 0,
            reordering: 0,
        };
        (0..count).map(row).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_sampler_copies_nothing_and_is_seen_by_its_own_pipeline_only() {
        let whole = rows(200);
        let mut sampled = whole.clone();
        for row in [0, 63, 64, 199] {
            Rows::unspan(&mut sampled, row);
        }
        assert!(Arc::ptr_eq(&whole.rows, &sampled.rows));
        assert_eq!((whole.spans().count(), sampled.spans().count()), (200, 196));
        assert!(sampled.trace(63).is_none() && sampled.trace(62).is_some());
        let flags: Vec<_> = sampled.into_vec().iter().map(|row| row.flags).collect();
        assert_eq!(flags[62], Flags::SPAN | Flags::CLOSED);
        assert_eq!(flags[63], Flags::CLOSED);
        assert_eq!(whole.into_vec()[63].flags, Flags::SPAN | Flags::CLOSED);
    }

    #[test]
    fn who_names_an_end_names_it_for_itself() {
        let whole = rows(2);
        let mut named = whole.clone();
        named.ends_mut(1).1.translated = true;
        assert!(named[1].remote.translated && !whole[1].remote.translated);
    }

    #[test]
    fn rows_that_are_left_out_take_what_was_said_of_them_along() {
        let mut rows = rows(130);
        (0..130)
            .filter(|row| row % 3 == 0)
            .for_each(|row| Rows::unspan(&mut rows, row));
        rows.retain(&mut |row| row % 2 == 1);
        assert_eq!(rows.len(), 65);
        let odd: Vec<_> = (0..130).filter(|row| row % 2 == 1).collect();
        for (at, row) in odd.into_iter().enumerate() {
            assert_eq!(rows.is_span(at), row % 3 != 0, "row {row}");
        }
    }
}
