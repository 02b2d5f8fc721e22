//! What the engine lends to a component while it is built: clock, service, telemetry, health.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Gate, Listener, Listeners, Memory};
use tapetum_model::{Attr, Attributes, Metric, Point, PointValue, UnixNanos, Value};

/// Lent to each component at its build.
#[derive(Clone)]
pub struct Context {
    /// The instance, as the file names it: `otlp/archive`.
    pub instance: Arc<str>,
    /// The `[service]` table, and what the host is called.
    pub service: Arc<ServiceInfo>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Its counters and gauges.
    pub telemetry: Telemetry,
    /// Its readiness.
    pub health: Health,
    /// The sockets of the process.
    pub listeners: Listeners,
    /// What the process has and may have.
    pub memory: Memory,
    /// The gate of its pipeline; of a processor only.
    pub gate: Gate,
}

/// What is the same for all components of a process.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceInfo {
    /// `k8s.cluster.name`; empty if not given.
    pub cluster: String,
    /// Where queues and state live.
    pub data_dir: PathBuf,
    /// The fleet's key; `None`: the public default.
    pub trace_key: Option<String>,
    /// `k8s.node.name`; empty if not known.
    pub node: String,
    /// `host.name`.
    pub host: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Version of the program.
    pub version: &'static str,
}

/// The time, passed in so that tests can hold it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Now;
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock: for what leaves.
    pub unix: UnixNanos,
    /// Since an arbitrary start, never stepping: for durations.
    pub monotonic: Duration,
}

/// The registry of the self-telemetry; clones share it, each with its own `component` label.
#[derive(Clone, Default)]
pub struct Telemetry {
    series: Arc<Mutex<Vec<Series>>>,
    component: Option<Arc<str>>,
    pipeline: Option<Arc<str>>,
}

struct Series {
    metric: Metric,
    attributes: Arc<Attributes>,
    cell: Cell,
}

enum Cell {
    Counter(Counter),
    Gauge(Gauge),
}

/// A counter of Tapetum itself.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A gauge of Tapetum itself; also for up-down counters.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// A component's readiness, shown by `/readyz`.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<HealthState>>);

/// See [`Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthState {
    /// Why it is not ready; `None` if it is.
    pub waits_for: Option<String>,
    /// Not ready any more if no beat came by then, and what the beat is.
    pub deadline: Option<(Duration, &'static str)>,
    /// What the text of `/readyz` should say although it does not change the status.
    pub note: Option<String>,
}

/// Without the key: it is a secret.
impl fmt::Debug for ServiceInfo {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("ServiceInfo")
            .field("cluster", &self.cluster)
            .field("data_dir", &self.data_dir)
            .field("node", &self.node)
            .field("host", &self.host)
            .field("instance", &self.instance)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Listens on `host:port`. An instance that is made anew gets the socket of the one before it.
    ///
    /// # Errors
    /// Where the address is taken or not of this host.
    pub fn listen(&self, address: &str) -> std::io::Result<Listener> {
        self.listeners.listen(&self.instance, address)
    }
}

impl Telemetry {
    /// The same registry, for another component.
    #[must_use]
    pub fn of(&self, component: &str) -> Self {
        Self {
            series: Arc::clone(&self.series),
            component: Some(component.into()),
            pipeline: None,
        }
    }

    /// The same, for the component's instance in one pipeline: a processor is one a pipeline.
    #[must_use]
    pub fn within(&self, pipeline: &str) -> Self {
        Self {
            pipeline: Some(pipeline.into()),
            ..self.clone()
        }
    }

    /// A counter; the same labels give the same counter.
    #[must_use]
    pub fn counter(&self, metric: Metric, labels: &[(Attr, &str)]) -> Counter {
        let attributes = self.attributes(labels);
        let mut series = self.lock();
        for known in series.iter() {
            if let (true, Cell::Counter(counter)) = (
                known.metric == metric && known.attributes == attributes,
                &known.cell,
            ) {
                return counter.clone();
            }
        }
        let counter = Counter::default();
        series.push(Series {
            metric,
            attributes,
            cell: Cell::Counter(counter.clone()),
        });
        counter
    }

    /// A gauge; the same labels give the same gauge.
    #[must_use]
    pub fn gauge(&self, metric: Metric, labels: &[(Attr, &str)]) -> Gauge {
        let attributes = self.attributes(labels);
        let mut series = self.lock();
        for known in series.iter() {
            if let (true, Cell::Gauge(gauge)) = (
                known.metric == metric && known.attributes == attributes,
                &known.cell,
            ) {
                return gauge.clone();
            }
        }
        let gauge = Gauge::default();
        series.push(Series {
            metric,
            attributes,
            cell: Cell::Gauge(gauge.clone()),
        });
        gauge
    }

    /// Every value of now, as points.
    #[must_use]
    pub fn points(&self, start: UnixNanos, time: UnixNanos) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .lock()
            .iter()
            .map(|series| Point {
                metric: series.metric,
                attributes: Arc::clone(&series.attributes),
                start,
                time,
                value: series.cell.value(series.metric),
                exemplar: None,
            })
            .collect();
        points.sort_by_key(|point| point.metric);
        points
    }

    /// Forgets the series of components and pipelines for which `keep` is false.
    pub(crate) fn retain(&self, keep: impl Fn(Option<&str>, Option<&str>) -> bool) {
        self.lock().retain(|series| {
            let label = |wanted: &Attr| {
                let mut all = series.attributes.0.iter();
                all.find_map(|(attr, value)| match value {
                    Value::Text(text) if attr == wanted => Some(&**text),
                    _ => None,
                })
            };
            keep(label(&Attr::Component), label(&Attr::Pipeline))
        });
    }

    fn attributes(&self, labels: &[(Attr, &str)]) -> Arc<Attributes> {
        let component = self
            .component
            .iter()
            .map(|name| (Attr::Component, Value::Text(name.clone())));
        let pipeline = self
            .pipeline
            .iter()
            .map(|name| (Attr::Pipeline, Value::Text(name.clone())));
        let labels = labels
            .iter()
            .map(|(attr, value)| (attr.clone(), Value::Text((*value).into())));
        let mut all: Vec<(Attr, Value)> = component.chain(pipeline).chain(labels).collect();
        all.sort_by(|(left, _), (right, _)| left.cmp(right));
        Arc::new(Attributes(all.into_boxed_slice()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Series>> {
        self.series
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Cell {
    fn value(&self, metric: Metric) -> PointValue {
        let cumulative = match self {
            Self::Counter(counter) => i64::try_from(counter.value()).unwrap_or(i64::MAX),
            Self::Gauge(gauge) => gauge.value(),
        };
        match metric.instrument() {
            tapetum_model::Instrument::Gauge => PointValue::Gauge(cumulative as f64),
            _ => PointValue::Sum {
                cumulative,
                delta: 0,
            },
        }
    }
}

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Health {
    /// Not ready yet, and why.
    pub fn waits_for(&self, what: impl Into<String>) {
        self.lock().waits_for = Some(what.into());
    }

    /// Ready.
    pub fn ready(&self) {
        self.lock().waits_for = None;
    }

    /// Alive; late if no other beat comes before `deadline` (monotonic).
    pub fn beat(&self, what: &'static str, deadline: Duration) {
        self.lock().deadline = Some((deadline, what));
    }

    /// Says something in the text of `/readyz` without changing the status; `None` takes it back.
    pub fn note(&self, note: Option<String>) {
        self.lock().note = note;
    }

    /// Forgets what the instance before said: a new one takes its place.
    pub(crate) fn reset(&self) {
        *self.lock() = HealthState::default();
    }

    /// What it says now.
    #[must_use]
    pub fn state(&self) -> HealthState {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HealthState> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
