//! Records become metrics here, and only here.
//!
//! It promises: the totals of the points are the totals of the records, whatever the budget; no
//! increment ever moves from one series to another, so every rate is true; the number of series, and
//! so the memory, is bounded by construction; an up-down counter comes back to zero. It knows no row
//! type by name: what a row adds to stands in the table of its kind ([`Rows::contributions`]).

mod add;
mod config;
mod limit;
mod name;
mod remember;
mod say;
#[cfg(test)]
mod tests;
mod way;

use std::sync::Arc;
use std::time::Duration;

use tapetum_model::{
    Batch, Contribution, Exemplar, Instrument, Loss, Orientation, Origin, Payload, Point, Quantity,
    Rows, Signal, UnixNanos, Window,
};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Flush, Gives, Now, Output, Processor, Settings,
};

use self::add::{DIMENSIONS_MAX, Dimensions, Key, Series};
use self::config::Config;
use self::limit::Ports;
use self::name::{Known, Names};
use self::remember::{Held, Holder};
use self::say::Own;
use self::way::{Place, Route, Ways};

/// `aggregate`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "aggregate",
    summary: "makes metrics of records: counters, active connections and histograms between workloads, bounded in series",
    takes: &[Signal::Connections],
    gives: Gives::These(&[Signal::Points]),
    options: config::OPTIONS,
    metrics: &[
        "tapetum.aggregate.series",
        "tapetum.aggregate.folded",
        "tapetum.records.lost",
        "tapetum.window.end",
    ],
    example: "series = 20_000\npods = false\nflush = \"10s\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// A series that nothing was added to for this long ends.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Of so many series one may be a histogram, which weighs more: a pair of ends has three, and seven or
/// more counters.
const HISTOGRAMS_OF: usize = 3;

/// How many different ends the cache knows.
const ENDS_MAX: usize = 8_192;

/// How many open connections it remembers the series of.
const HELD_MAX: usize = 100_000;

/// Points of one batch: an encoded batch stays below the 4 MiB that gRPC servers take by default.
const BATCH_POINTS: usize = 4_096;

/// See the module.
pub struct Aggregate {
    budget: usize,
    every: Duration,
    names: Names,
    ways: Ways,
    series: Series,
    ports: Ports,
    held: Held,
    own: Own,
    /// Since the last timer flush.
    window: Window,
    loss: Loss,
    /// No series that begins now may begin before one ended.
    ended: UnixNanos,
}

/// A row, and what is the same for all series that it adds to.
struct Row<'a> {
    rows: &'a dyn Rows,
    at: usize,
    way: usize,
    exemplar: Option<Exemplar>,
    start: UnixNanos,
    now: Now,
}

/// A row on its way into one series.
struct Increment<'a> {
    row: &'a Row<'a>,
    line: &'static Contribution,
    /// The line's place in the table.
    index: usize,
}

fn build(settings: &Settings, context: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Ok(Box::new(Aggregate::new(config, context)))
}

impl Processor for Aggregate {
    fn process(&mut self, batch: Batch, now: Now, out: &mut Output) {
        let Payload::Records(records) = &batch.payload else {
            out.send(batch);
            return;
        };
        let start = match batch.window.start {
            UnixNanos(0) => now.unix,
            start => start.min(now.unix).max(self.ended),
        };
        let rows = records.as_rows();
        for row in 0..rows.rows() {
            self.absorb(rows, row, start, now);
        }
        self.cover(&batch.window, &batch.loss);
        self.own.series.set(self.series.live() as i64);
        out.absorbed += rows.rows() as u64;
    }

    fn flush(&mut self, why: Flush, now: Now, out: &mut Output) {
        let mut points = Vec::new();
        self.own.points(now.unix, &mut points);
        let (window, loss) = (self.window, self.loss);
        if why == Flush::Scrape {
            self.series.points(now.unix, &mut points);
        } else {
            for key in self.series.settle(now, IDLE, &mut points) {
                self.ports.release(&key);
                self.ended = self.ended.max(now.unix);
            }
            self.names.forget();
            self.ways.forget();
            self.own.settle(self.series.live());
            self.window.start = self.window.end;
            self.loss = Loss::default();
        }
        points.sort_by_key(|point| point.metric);
        send(points, window, loss, out);
    }

    fn flush_every(&self) -> Option<Duration> {
        Some(self.every)
    }
}

impl Aggregate {
    fn new(config: Config, context: &Context) -> Self {
        Self {
            budget: config.series,
            every: config.flush.0,
            names: Names::new(config.pods, ENDS_MAX),
            ways: Ways::default(),
            series: Series::default(),
            ports: Ports::default(),
            held: Held::new(HELD_MAX),
            own: Own::new(context),
            window: Window::default(),
            loss: Loss::default(),
            ended: UnixNanos(0),
        }
    }

    /// Adds one row to every series that it has something for.
    fn absorb(&mut self, rows: &dyn Rows, at: usize, start: UnixNanos, now: Now) {
        let route = Route::of(rows, at);
        let way = match self.ways.find(&route) {
            Some(way) => way,
            None => self.explore(route, rows, at),
        };
        let exemplar = rows.trace(at).map(|trace| Exemplar {
            trace: trace.trace,
            span: trace.span,
            value: 0.0,
            time: rows.time(at),
        });
        let row = &Row {
            rows,
            at,
            way,
            exemplar,
            start,
            now,
        };
        for (index, line) in rows.contributions().iter().enumerate() {
            let Some(quantity) = rows.quantity(at, index) else {
                continue;
            };
            let increment = Increment { row, line, index };
            match quantity {
                Quantity::Add(n) if line.metric.instrument() == Instrument::UpDownCounter => {
                    self.hold(&increment, n);
                }
                _ => {
                    let slot = self.slot(&increment);
                    self.add(slot, &increment, quantity);
                }
            }
        }
    }

    /// The way of rows like which none came since the last flush.
    fn explore(&mut self, route: Route, rows: &dyn Rows, row: usize) -> usize {
        if self.names.make_room() || self.ways.is_full() {
            self.ways.forget();
        }
        let (near, far) = rows.ends(row);
        let (near, far) = (self.names.find(near), self.names.find(far));
        self.ways.insert(route, near, far)
    }

    /// Adds to an up-down counter, or takes away where it was added.
    fn hold(&mut self, increment: &Increment<'_>, n: i64) {
        let metric = increment.line.metric;
        let identity = increment.row.rows.identity(increment.row.at);
        let slot = if n < 0 {
            match self.held.take(metric, identity, n.saturating_neg()) {
                Holder::Slot(slot) => slot,
                Holder::Rest => self.rest(increment),
                Holder::Nobody => return,
            }
        } else if let Some(slot) = self.held.holder(metric, identity) {
            self.held.remember(metric, identity, slot, n);
            slot
        } else if self.held.has_room() {
            let slot = self.slot(increment);
            self.held.remember(metric, identity, slot, n);
            slot
        } else {
            self.held.beyond(metric, n);
            self.rest(increment)
        };
        self.add(slot, increment, Quantity::Add(n));
    }

    fn add(&mut self, slot: u32, increment: &Increment<'_>, quantity: Quantity) {
        let Row { exemplar, now, .. } = increment.row;
        self.series.add(slot, quantity, *exemplar, now.monotonic);
    }

    /// The series that an increment belongs to.
    fn slot(&mut self, increment: &Increment<'_>) -> u32 {
        let (way, line) = (increment.row.way, increment.index);
        let place = self.ways.place(way, line).unwrap_or_else(|| {
            let place = self.locate(increment);
            self.ways.remember(way, line, place);
            place
        });
        if place.folded_port {
            self.own.folded_ports.add(1);
        }
        if place.folded {
            self.own.folded_series.add(1);
        }
        place.slot
    }

    /// Finds the series of an increment; made if there is room, else that of the rest.
    fn locate(&mut self, increment: &Increment<'_>) -> Place {
        let mut key = self.key(increment);
        let mut place = Place {
            slot: 0,
            folded_port: false,
            folded: false,
        };
        if let Some(slot) = self.series.find(&key) {
            return Place { slot, ..place };
        }
        if !self.ports.admits(&key) {
            place.folded_port = true;
            limit::fold_port(&mut key);
            if let Some(slot) = self.series.find(&key) {
                return Place { slot, ..place };
            }
        }
        let histogram = key.metric.instrument() == Instrument::Histogram;
        if self.series.live() < self.budget
            && !(histogram && self.series.histograms() >= self.budget / HISTOGRAMS_OF)
        {
            self.ports.claim(&key);
            place.slot = self.series.insert(key, false, increment.row.start);
        } else {
            place.folded = true;
            place.slot = self.rest(increment);
        }
        place
    }

    /// The series of the rest: its ends are `~other`, what comes from closed lists stays.
    fn rest(&mut self, increment: &Increment<'_>) -> u32 {
        let mut key = self.key(increment);
        key.source = Arc::clone(self.names.other());
        key.destination = Arc::clone(self.names.other());
        limit::fold_open(&mut key);
        self.series
            .find(&key)
            .unwrap_or_else(|| self.series.insert(key, true, increment.row.start))
    }

    fn key(&self, increment: &Increment<'_>) -> Key {
        let (near, far) = self.ways.ends(increment.row.way);
        increment.key(self.names.known(near), self.names.known(far))
    }

    /// Takes over what a batch says of its completeness.
    fn cover(&mut self, window: &Window, loss: &Loss) {
        if self.window.start == UnixNanos(0) || window.start < self.window.start {
            self.window.start = window.start;
        }
        self.window.end = self.window.end.max(window.end);
        self.loss.add(loss);
        self.own.cover(window, loss);
    }
}

impl Increment<'_> {
    fn key(&self, near: &Known, far: &Known) -> Key {
        let Row { rows, at, .. } = *self.row;
        let sent = match self.line.orientation {
            Orientation::Sent => true,
            Orientation::Received => false,
            Orientation::Initiator => rows.initiated_here(at),
        };
        let (source, destination) = if sent { (near, far) } else { (far, near) };
        let mut values = [const { None }; DIMENSIONS_MAX];
        for (value, attr) in values.iter_mut().zip(self.line.dimensions) {
            *value = rows.dimension(at, attr);
        }
        Key {
            metric: self.line.metric,
            source: Arc::clone(&source.source),
            destination: Arc::clone(&destination.destination),
            direction: self
                .line
                .directed
                .then_some(if sent { "transmit" } else { "receive" }),
            dimensions: Dimensions {
                attrs: self.line.dimensions,
                values,
            },
        }
    }
}

/// Hands the points over; the loss stands on one batch only, so that merging does not multiply it.
fn send(points: Vec<Point>, window: Window, mut loss: Loss, out: &mut Output) {
    out.made += points.len() as u64;
    let mut points = points.into_iter().peekable();
    while points.peek().is_some() {
        out.send(Batch {
            payload: Payload::Points(points.by_ref().take(BATCH_POINTS).collect()),
            window,
            loss: std::mem::take(&mut loss),
            origin: Origin::Flush,
        });
    }
}
