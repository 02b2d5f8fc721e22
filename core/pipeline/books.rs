//! The books: what became of every item, at each edge and component.
//!
//! Every change is one balanced posting under one lock, so a snapshot balances at any moment:
//! in + made = out + rejected + refused + dropped + filtered + absorbed + held. The counters of the
//! self-telemetry are fed by the same postings and cannot disagree with the books.

use std::sync::{Arc, Mutex};

use tapetum_model::{Attr, Metric};

use crate::{Counter, Gauge, Kind, Telemetry};

/// What became of the items of one component, or of one edge from a receiver into a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Came in.
    pub taken: u64,
    /// Were made here, not taken in (metric points of records).
    pub made: u64,
    /// Went on; of an exporter: its backend has them.
    pub out: u64,
    /// The backend does not want them, or they could not be encoded.
    pub rejected: u64,
    /// Were not taken: the sender was told so.
    pub refused: u64,
    /// Were lost: a queue was full, a component failed, the time was over.
    pub dropped: u64,
    /// Were left out on purpose.
    pub filtered: u64,
    /// Live on in another form.
    pub absorbed: u64,
    /// Are here.
    pub held: u64,
}

/// One line of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// What the component is.
    pub kind: Kind,
    /// Its instance.
    pub component: Arc<str>,
    /// The pipeline: receivers have a line for each, processors an instance in each; an exporter has
    /// one line for all.
    pub pipeline: Option<Arc<str>>,
    /// The numbers.
    pub tally: Tally,
}

/// The books of a whole graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books(pub Vec<Book>);

/// One change of the books.
#[derive(Clone, Debug, Default)]
pub(crate) struct Posting {
    pub(crate) taken: u64,
    pub(crate) made: u64,
    pub(crate) out: u64,
    pub(crate) refused: u64,
    pub(crate) absorbed: u64,
    pub(crate) held: i64,
    pub(crate) rejected: Option<(&'static str, u64)>,
    pub(crate) dropped: Option<(&'static str, u64)>,
    pub(crate) filtered: Vec<(&'static str, u64)>,
}

/// A line of the books that is being written.
pub(crate) struct Account {
    kind: Kind,
    component: Arc<str>,
    pipeline: Option<Arc<str>>,
    /// Where on the way its losses are: a label.
    stage: &'static str,
    telemetry: Telemetry,
    taken: Counter,
    made: Counter,
    out: Counter,
    refused: Counter,
    absorbed: Counter,
    held: Gauge,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    reasons: Vec<(Metric, &'static str, Counter)>,
    /// Of what is held, what a queue left on the disk when it ended.
    kept: u64,
}

impl Tally {
    /// Whether what came in and was made here is all accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.taken + self.made
            == self.out
                + self.rejected
                + self.refused
                + self.dropped
                + self.filtered
                + self.absorbed
                + self.held
    }
}

impl Books {
    /// The line of a component; of a receiver or processor in one pipeline.
    #[must_use]
    pub fn of(&self, kind: Kind, component: &str, pipeline: Option<&str>) -> Option<&Tally> {
        self.0
            .iter()
            .find(|book| {
                book.kind == kind
                    && &*book.component == component
                    && book.pipeline.as_deref() == pipeline
            })
            .map(|book| &book.tally)
    }
}

impl Account {
    pub(crate) fn open(
        telemetry: &Telemetry,
        kind: Kind,
        component: &str,
        pipeline: Option<&str>,
    ) -> Arc<Self> {
        let telemetry = match pipeline {
            Some(pipeline) => telemetry.of(component).within(pipeline),
            None => telemetry.of(component),
        };
        // What cannot happen at a kind of component is not said there.
        let counter = |metric, kinds: &[Kind]| match kinds.contains(&kind) {
            true => telemetry.counter(metric, &[]),
            false => Counter::default(),
        };
        let holds = kind != Kind::Receiver;
        Arc::new(Self {
            kind,
            component: component.into(),
            pipeline: pipeline.map(Into::into),
            stage: match kind {
                Kind::Receiver => "receive",
                Kind::Processor => "process",
                Kind::Exporter => "export",
            },
            taken: counter(Metric::RecordsIn, &Kind::ALL),
            made: counter(Metric::RecordsMade, &[Kind::Processor]),
            out: counter(Metric::RecordsOut, &Kind::ALL),
            refused: counter(Metric::RecordsRefused, &[Kind::Receiver, Kind::Exporter]),
            absorbed: counter(Metric::RecordsAbsorbed, &[Kind::Processor]),
            held: match holds {
                true => telemetry.gauge(Metric::QueueRecords, &[]),
                false => Gauge::default(),
            },
            state: Mutex::default(),
            telemetry,
        })
    }

    /// Says of each reason that nothing was lost by it yet: a counter that is first seen when it has
    /// grown has hidden its first growth.
    pub(crate) fn may_lose(&self, reasons: &[&'static str]) {
        let mut state = self.lock();
        for reason in reasons {
            self.reason(&mut state.reasons, Metric::RecordsLost, reason);
        }
    }

    /// Writes one change. What it does not say of the items that it takes is a bug of the engine.
    pub(crate) fn post(&self, posting: &Posting) {
        let mut state = self.lock();
        let State { tally, reasons, .. } = &mut *state;
        tally.taken += posting.taken;
        tally.made += posting.made;
        tally.out += posting.out;
        tally.refused += posting.refused;
        tally.absorbed += posting.absorbed;
        tally.held = tally.held.saturating_add_signed(posting.held);
        self.taken.add(posting.taken);
        self.made.add(posting.made);
        self.out.add(posting.out);
        self.refused.add(posting.refused);
        self.absorbed.add(posting.absorbed);
        self.held.set(i64::try_from(tally.held).unwrap_or(i64::MAX));
        let worth = |(_, items): &(&'static str, u64)| *items > 0;
        if let Some((reason, items)) = posting.rejected.filter(worth) {
            tally.rejected += items;
            self.reason(reasons, Metric::RecordsLost, reason).add(items);
        }
        if let Some((reason, items)) = posting.dropped.filter(worth) {
            tally.dropped += items;
            self.reason(reasons, Metric::RecordsLost, reason).add(items);
        }
        for (reason, items) in posting.filtered.iter().filter(|filtered| worth(filtered)) {
            tally.filtered += items;
            self.reason(reasons, Metric::RecordsFiltered, reason)
                .add(*items);
        }
        debug_assert!(tally.balances(), "{}: {tally:?}", self.component);
    }

    /// Whose it is.
    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Whether it is the line of this component.
    pub(crate) fn is_of(&self, kind: Kind, component: &str, pipeline: Option<&str>) -> bool {
        self.kind == kind && self.is_named(Some(component), pipeline)
    }

    /// Whether the metrics of its component carry these labels.
    pub(crate) fn is_named(&self, component: Option<&str>, pipeline: Option<&str>) -> bool {
        component == Some(&*self.component) && pipeline == self.pipeline.as_deref()
    }

    /// A queue ended and left so many items on the disk.
    pub(crate) fn keep(&self, items: u64) {
        self.lock().kept += items;
    }

    /// A queue found so many items on the disk. What another one left there in this process is held already.
    pub(crate) fn find(&self, items: u64) {
        let mut state = self.lock();
        let known = items.min(state.kept);
        state.kept -= known;
        drop(state);
        let found = items - known;
        self.post(&Posting {
            taken: found,
            held: i64::try_from(found).unwrap_or(i64::MAX),
            ..Posting::default()
        });
    }

    pub(crate) fn held(&self) -> u64 {
        self.lock().tally.held
    }

    pub(crate) fn book(&self) -> Book {
        Book {
            kind: self.kind,
            component: Arc::clone(&self.component),
            pipeline: self.pipeline.clone(),
            tally: self.lock().tally,
        }
    }

    /// Reasons are words of the code, so there are few of them.
    fn reason<'a>(
        &self,
        reasons: &'a mut Vec<(Metric, &'static str, Counter)>,
        metric: Metric,
        reason: &'static str,
    ) -> &'a Counter {
        let known = reasons
            .iter()
            .position(|(of, word, _)| *of == metric && *word == reason);
        let at = known.unwrap_or_else(|| {
            let labels = [(Attr::Stage, self.stage), (Attr::Reason, reason)];
            reasons.push((metric, reason, self.telemetry.counter(metric, &labels)));
            reasons.len() - 1
        });
        &reasons[at].2
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
