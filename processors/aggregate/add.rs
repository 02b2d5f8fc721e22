//! The series: found by key without allocation, added to in place, told as points.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};
use tapetum_model::{
    Attr, Attributes, Exemplar, ExponentialHistogram, Instrument, Metric, Point, PointValue,
    Quantity, UnixNanos, Value,
};
use tapetum_pipeline::Now;

use super::name::EndName;

/// How many dimensions a line of a record kind's table may have.
pub(super) const DIMENSIONS_MAX: usize = 3;

/// What makes a series: two are the same series exactly if their points have the same attributes.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) metric: Metric,
    pub(super) source: Arc<EndName>,
    pub(super) destination: Arc<EndName>,
    pub(super) direction: Option<&'static str>,
    pub(super) dimensions: Dimensions,
}

/// The dimensions of a line, in its order, and their values in one row.
#[derive(Clone, Debug)]
pub(super) struct Dimensions {
    pub(super) attrs: &'static [Attr],
    pub(super) values: [Option<Value>; DIMENSIONS_MAX],
}

/// All series, in slots that stay theirs as long as they live.
#[derive(Default)]
pub(super) struct Series {
    slots: Vec<Option<One>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The attributes of all series: bytes and packets, for example, have the same ones.
    attributes: HashSet<Arc<Attributes>>,
    histograms: usize,
    folds: usize,
}

/// One series.
struct One {
    key: Key,
    /// Its ends are `~other`: it does not count against the budget.
    fold: bool,
    attributes: Arc<Attributes>,
    start: UnixNanos,
    /// When it was last added to.
    touched: Duration,
    /// Something was added since the last timer flush.
    unsent: bool,
    state: State,
    exemplar: Option<Exemplar>,
    /// The exemplar is of this period: a push says each once, a scrape the last one known.
    exemplar_unsent: bool,
}

enum State {
    Sum {
        cumulative: i64,
        delta: i64,
    },
    /// What was observed in this period stands apart until the period ends: a value goes into one
    /// histogram, not into two.
    Histogram {
        before: Arc<ExponentialHistogram>,
        delta: Option<Arc<ExponentialHistogram>>,
    },
}

impl Series {
    /// How many there are, those of the rest (`~other`) not counted.
    pub(super) fn live(&self) -> usize {
        self.slots.len() - self.free.len() - self.folds
    }

    /// How many of them are histograms, which weigh more.
    pub(super) fn histograms(&self) -> usize {
        self.histograms
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let same = |slot: &u32| {
            self.slots[*slot as usize]
                .as_ref()
                .is_some_and(|one| one.key == *key)
        };
        self.index.find(self.hasher.hash_one(key), same).copied()
    }

    /// A new series that counts from `start` on.
    pub(super) fn insert(&mut self, key: Key, fold: bool, start: UnixNanos) -> u32 {
        let state = State::of(key.metric.instrument());
        self.folds += usize::from(fold);
        self.histograms += usize::from(!fold && matches!(state, State::Histogram { .. }));
        let hash = self.hasher.hash_one(&key);
        let attributes = self.attributes.get_or_insert(Arc::new(key.attributes()));
        let one = Some(One {
            attributes: Arc::clone(attributes),
            key,
            fold,
            start,
            touched: Duration::ZERO,
            unsent: false,
            state,
            exemplar: None,
            exemplar_unsent: false,
        });
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = one;
            slot
        } else {
            self.slots.push(one);
            (self.slots.len() - 1) as u32
        };
        let Self {
            slots,
            index,
            hasher,
            ..
        } = self;
        index.insert_unique(hash, slot, |at| {
            slots[*at as usize]
                .as_ref()
                .map_or(0, |one| hasher.hash_one(&one.key))
        });
        slot
    }

    pub(super) fn add(
        &mut self,
        slot: u32,
        quantity: Quantity,
        exemplar: Option<Exemplar>,
        now: Duration,
    ) {
        let Some(one) = &mut self.slots[slot as usize] else {
            return;
        };
        one.touched = now;
        one.unsent = true;
        let value = match (&mut one.state, quantity) {
            (State::Sum { cumulative, delta }, Quantity::Add(n)) => {
                *cumulative = cumulative.saturating_add(n);
                *delta = delta.saturating_add(n);
                n as f64
            }
            (State::Histogram { delta, .. }, Quantity::Observe(value)) => {
                Arc::make_mut(delta.get_or_insert_default()).record(value);
                value
            }
            _ => return,
        };
        if let Some(exemplar) = exemplar {
            one.exemplar = Some(Exemplar { value, ..exemplar });
            one.exemplar_unsent = true;
        }
    }

    /// Every series as a point; nothing is changed by it.
    pub(super) fn points(&self, time: UnixNanos, into: &mut Vec<Point>) {
        into.extend(self.slots.iter().flatten().map(|one| one.point(time)));
    }

    /// Every series as a point, after which its next period begins; a series that nothing was added to
    /// for `idle` ends instead. Returns the keys of those that ended.
    pub(super) fn settle(&mut self, now: Now, idle: Duration, into: &mut Vec<Point>) -> Vec<Key> {
        let mut ended = Vec::new();
        for slot in 0..self.slots.len() {
            let Some(one) = &mut self.slots[slot] else {
                continue;
            };
            let mut point = one.point(now.unix);
            if !std::mem::take(&mut one.exemplar_unsent) {
                point.exemplar = None;
            }
            if one.begin_period(&point) || one.holds() || now.monotonic < one.touched + idle {
                into.push(point);
                continue;
            }
            point.value = PointValue::Ended;
            into.push(point);
            ended.extend(self.remove(slot as u32));
        }
        if !ended.is_empty() {
            self.attributes
                .retain(|attributes| Arc::strong_count(attributes) > 1);
        }
        ended
    }

    fn remove(&mut self, slot: u32) -> Option<Key> {
        let one = self.slots[slot as usize].take()?;
        let hash = self.hasher.hash_one(&one.key);
        if let Ok(entry) = self.index.find_entry(hash, |at| *at == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.folds -= usize::from(one.fold);
        self.histograms -= usize::from(!one.fold && matches!(one.state, State::Histogram { .. }));
        Some(one.key)
    }
}

impl One {
    /// Begins the next period, after a point `said` all of the last one; whether anything was added in it.
    fn begin_period(&mut self, said: &Point) -> bool {
        match &mut self.state {
            State::Sum { delta, .. } => *delta = 0,
            State::Histogram { before, delta } => {
                *delta = None;
                if let PointValue::Histogram { cumulative, .. } = &said.value {
                    *before = Arc::clone(cumulative);
                }
            }
        }
        std::mem::take(&mut self.unsent)
    }

    /// An up-down counter that is not at rest: what it holds is still there, however long nothing
    /// moved.
    fn holds(&self) -> bool {
        self.key.metric.instrument() == Instrument::UpDownCounter
            && matches!(self.state, State::Sum { cumulative, .. } if cumulative != 0)
    }

    fn point(&self, time: UnixNanos) -> Point {
        Point {
            metric: self.key.metric,
            attributes: Arc::clone(&self.attributes),
            start: self.start,
            time: time.max(self.start),
            value: match &self.state {
                State::Sum { cumulative, delta } => PointValue::Sum {
                    cumulative: *cumulative,
                    delta: *delta,
                },
                State::Histogram { before, delta } => PointValue::Histogram {
                    cumulative: delta
                        .as_ref()
                        .map_or_else(|| Arc::clone(before), |delta| merged(before, delta)),
                    delta: delta.clone(),
                },
            },
            exemplar: self.exemplar,
        }
    }
}

impl State {
    fn of(instrument: Instrument) -> Self {
        match instrument {
            Instrument::Histogram => Self::Histogram {
                before: Arc::default(),
                delta: None,
            },
            _ => Self::Sum {
                cumulative: 0,
                delta: 0,
            },
        }
    }
}

fn merged(
    before: &ExponentialHistogram,
    delta: &ExponentialHistogram,
) -> Arc<ExponentialHistogram> {
    let mut both = before.clone();
    both.merge(delta);
    Arc::new(both)
}

impl Key {
    /// What its points say, in the order of [`Attr`].
    fn attributes(&self) -> Attributes {
        let end = |name: &EndName, role: fn(Box<Attr>) -> Attr| {
            let said = |(attr, value): &(Attr, Arc<str>)| {
                (role(Box::new(attr.clone())), Value::Text(Arc::clone(value)))
            };
            name.0.iter().map(said).collect::<Vec<_>>()
        };
        let mut all = end(&self.source, Attr::Source);
        all.extend(end(&self.destination, Attr::Destination));
        all.extend(
            self.direction
                .map(|direction| (Attr::NetworkIoDirection, Value::Static(direction))),
        );
        let dimensions = self.dimensions.attrs.iter().zip(&self.dimensions.values);
        all.extend(dimensions.filter_map(|(attr, value)| Some((attr.clone(), value.clone()?))));
        all.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        Attributes(all.into_boxed_slice())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.metric == other.metric
            && Arc::ptr_eq(&self.source, &other.source)
            && Arc::ptr_eq(&self.destination, &other.destination)
            && self.direction == other.direction
            && self.dimensions.values == other.dimensions.values
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.metric.hash(to);
        Arc::as_ptr(&self.source).hash(to);
        Arc::as_ptr(&self.destination).hash(to);
        self.direction.hash(to);
        self.dimensions.values.hash(to);
    }
}
