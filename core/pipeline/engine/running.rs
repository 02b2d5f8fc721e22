//! A graph that runs: what can be asked of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapetum_model::{Attr, Batch, Loss, Metric, Origin, Payload, Point, UnixNanos, Window};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Lent;
use super::readiness::{Readiness, Watched, judge};
use crate::books::{Account, Book, Books};
use crate::outlet::Request;
use crate::queue::Front;
use crate::{Gauge, Telemetry};

/// A graph that runs. Dropping it stops everything at once, without a drain.
pub struct Running {
    pub(super) state: Arc<State>,
    pub(super) drain: Duration,
    /// The switches, in the order in which a stop throws them.
    pub(super) receiving: watch::Sender<bool>,
    pub(super) draining: watch::Sender<bool>,
    pub(super) serving: watch::Sender<bool>,
    pub(super) cutting: watch::Sender<bool>,
    /// Keep the pipelines open while receivers come and go.
    pub(super) places: Vec<mpsc::Sender<Request>>,
    pub(super) fronts: Vec<Arc<Front>>,
    pub(super) receivers: Vec<Task>,
    pub(super) pipelines: Vec<Task>,
    pub(super) exporters: Vec<Task>,
    pub(super) servers: Vec<Task>,
    pub(super) admin: Option<JoinHandle<()>>,
    pub(super) admin_address: Option<SocketAddr>,
    pub(super) alive: Arc<watch::Sender<usize>>,
}

/// A task, and what it is called in the log.
pub(super) struct Task {
    pub(super) who: String,
    pub(super) handle: JoinHandle<()>,
}

/// What is known of a graph from outside; shared with the admin server.
pub(crate) struct State {
    lent: Lent,
    watched: Vec<Watched>,
    accounts: Vec<Arc<Account>>,
    started: UnixNanos,
    memory: Gauge,
}

impl Task {
    pub(super) fn new(who: String, handle: JoinHandle<()>) -> Self {
        Self { who, handle }
    }
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
        self.state.books()
    }

    /// The self-telemetry of now.
    #[must_use]
    pub fn metrics(&self) -> Vec<Point> {
        self.state.metrics()
    }

    /// The registry of the self-telemetry, for what runs beside the graph.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.state.lent.telemetry.clone()
    }

    /// Where the admin server listens.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Waits until every receiver has come to the end of its stream.
    pub async fn finished(&self) {
        let mut alive = self.alive.subscribe();
        // It cannot be closed: this graph holds its other end.
        let _ = alive.wait_for(|alive| *alive == 0).await;
    }
}

impl State {
    pub(super) fn new(lent: Lent, watched: Vec<Watched>, accounts: Vec<Arc<Account>>) -> Self {
        let version = [(Attr::ServiceVersion, lent.options.version)];
        lent.telemetry.gauge(Metric::BuildInfo, &version).set(1);
        Self {
            memory: lent.telemetry.gauge(Metric::ProcessMemory, &[]),
            started: lent.options.clock.now().unix,
            lent,
            watched,
            accounts,
        }
    }

    pub(crate) fn health(&self) -> Readiness {
        judge(&self.watched, self.lent.options.clock.now().monotonic)
    }

    pub(super) fn books(&self) -> Books {
        Books(
            self.accounts
                .iter()
                .map(|account| account.book())
                .collect::<Vec<Book>>(),
        )
    }

    pub(super) fn metrics(&self) -> Vec<Point> {
        if let Some(bytes) = resident_anonymous(&self.lent.options.process_status) {
            self.memory.set(bytes);
        }
        let now = self.lent.options.clock.now().unix;
        self.lent.telemetry.points(self.started, now)
    }

    /// The page `/metrics` in the format that is asked for: content type and body.
    pub(crate) fn rendered(&self, accept: Option<&str>) -> Option<(String, Vec<u8>)> {
        let render = self.lent.options.render.as_ref()?;
        let points = self.metrics();
        let end = self.lent.options.clock.now().unix;
        let batch = Batch {
            payload: Payload::Points(points),
            window: Window {
                start: self.started,
                end,
            },
            loss: Loss::default(),
            origin: Origin::Flush,
        };
        Some(render(&[batch], accept))
    }
}

/// `RssAnon` of a `/proc/<pid>/status`, in bytes.
fn resident_anonymous(status: &Path) -> Option<i64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_memory_of_the_process() {
        let own = resident_anonymous(Path::new("/proc/self/status")).unwrap();
        assert!(own > 100 * 1024, "{own}");
        assert_eq!(resident_anonymous(Path::new("/proc/version")), None);
        assert_eq!(resident_anonymous(Path::new("/nowhere")), None);
    }
}
