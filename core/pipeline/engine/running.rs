//! A graph that runs: what can be asked of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tapetum_model::{Attr, Batch, Loss, Metric, Origin, Payload, Point, UnixNanos, Window};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::look;
use super::parts::Parts;
use super::readiness::{Readiness, Watched, judge};
use super::{Lent, Options, Render, TapLine};
use crate::books::Books;
use crate::tap::Taps;
use crate::{Clock, Edge, Gauge, Health, ServiceSpec, Telemetry};

/// A graph that runs. Dropping it stops everything at once, without a drain.
pub struct Running {
    pub(super) state: Arc<State>,
    pub(super) lent: Lent,
    pub(super) service: ServiceSpec,
    pub(super) parts: Parts,
    /// The time of a stop is over, also for what has left the graph.
    pub(super) cutting: watch::Sender<bool>,
    pub(super) admin: Option<Admin>,
    /// How many receivers have not come to the end of their stream.
    pub(super) alive: Arc<watch::Sender<usize>>,
    /// How many exporters there have been: each has randomness of its own.
    pub(super) exporters_made: u64,
}

/// The admin server.
pub(super) struct Admin {
    pub(super) task: JoinHandle<()>,
    pub(super) address: Option<SocketAddr>,
}

/// What is known of a graph from outside; shared with the admin server.
pub(crate) struct State {
    pub(super) ledger: Ledger,
    pub(super) telemetry: Telemetry,
    clock: Arc<dyn Clock>,
    started: UnixNanos,
    process_status: PathBuf,
    memory: Gauge,
    /// What is said of the file that the graph is made of.
    pub(super) file: Health,
    pub(crate) taps: Arc<Taps>,
    shown: RwLock<Shown>,
}

/// What a reload exchanges.
#[derive(Default)]
struct Shown {
    watched: Vec<Watched>,
    render: Option<Render>,
    edges: Vec<Edge>,
    line: Option<TapLine>,
}

impl Running {
    /// What `/readyz` says.
    #[must_use]
    pub fn health(&self) -> Readiness {
        self.state.health()
    }

    /// What became of every item so far. Each line balances.
    #[must_use]
    pub fn books(&self) -> Books {
        self.state.ledger.books()
    }

    /// The self-telemetry of now.
    #[must_use]
    pub fn metrics(&self) -> Vec<Point> {
        self.state.metrics()
    }

    /// The registry of the self-telemetry, for what runs beside the graph.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.state.telemetry.clone()
    }

    /// Where the admin server listens.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.address)
    }

    /// Waits until every receiver has come to the end of its stream.
    pub async fn finished(&self) {
        let mut alive = self.alive.subscribe();
        // It cannot be closed: this graph holds its other end.
        let _ = alive.wait_for(|alive| *alive == 0).await;
    }
}

impl State {
    pub(super) fn new(lent: &Lent) -> Self {
        let version = [(Attr::ServiceVersion, lent.options.version)];
        lent.telemetry.gauge(Metric::BuildInfo, &version).set(1);
        Self {
            ledger: Ledger::new(lent.telemetry.clone()),
            telemetry: lent.telemetry.clone(),
            clock: Arc::clone(&lent.options.clock),
            started: lent.options.clock.now().unix,
            process_status: lent.options.process_status.clone(),
            memory: lent.telemetry.gauge(Metric::ProcessMemory, &[]),
            file: Health::default(),
            taps: Arc::default(),
            shown: RwLock::default(),
        }
    }

    /// From now on these are asked how they are, and this writes their pages.
    pub(super) fn show(&self, mut watched: Vec<Watched>, edges: Vec<Edge>, options: &Options) {
        watched.push(Watched {
            who: "file".to_owned(),
            healths: [self.file.clone(), Health::default()],
        });
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Shown {
            watched,
            edges,
            render: options.render.clone(),
            line: options.tap_line.clone(),
        };
    }

    pub(crate) fn health(&self) -> Readiness {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        judge(&shown.watched, self.clock.now().monotonic)
    }

    /// The ways between components that there are.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.edges.clone()
    }

    /// What writes a batch that passed as a line.
    pub(crate) fn tap_line(&self) -> Option<TapLine> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.line.clone()
    }

    pub(super) fn metrics(&self) -> Vec<Point> {
        if let Some(bytes) = look::resident_anonymous(&self.process_status) {
            self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        self.telemetry.points(self.started, self.clock.now().unix)
    }

    /// The page `/metrics` in the format that is asked for: content type and body.
    pub(crate) fn rendered(&self, accept: Option<&str>) -> Option<(String, Vec<u8>)> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let render = shown.render.clone();
        drop(shown);
        let points = self.metrics();
        let end = self.clock.now().unix;
        let batch = Batch {
            payload: Payload::Points(points),
            window: Window {
                start: self.started,
                end,
            },
            loss: Loss::default(),
            origin: Origin::Flush,
        };
        Some(render?(&[batch], accept))
    }
}
