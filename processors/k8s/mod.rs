//! Names the ends of records: pods, workloads, Services, nodes of a cluster; else node and network.
//!
//! It promises: what is not known is absent and never guessed; the rows of one connection keep their order;
//! what it remembers and what waits here is bounded. Each row passes the same steps: ends of this host are
//! called by their container's id (`locals.rs`), far ends by their address and the time (`far.rs`), what is
//! outside by its network (`networks.rs`). An end that the cluster does not know yet is waited for
//! (`waiting.rs`).

mod cluster;
mod config;
mod far;
mod locals;
mod networks;
mod telemetry;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tapetum_k8s::{Index, Snapshot, State, Transport};
use tapetum_model::{Attr, Batch, Metric, Payload, Records, Rows, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Counter, Flush, Gives, Now, Output, Processor, Settings,
    Telemetry,
};

use self::cluster::Cluster;
use self::config::{Config, Scope};
use self::far::{Addresses, Answer, Question};
use self::locals::Locals;
use self::networks::Networks;
use self::waiting::{End, Waiting};
use crate::cidr::Cidr;

/// `k8s`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "k8s",
    summary: "names ends: pods, workloads, Services and nodes of a cluster, the network of those outside",
    takes: &[Signal::Connections],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[
        "tapetum.k8s.unnamed",
        "tapetum.k8s.objects",
        "tapetum.k8s.changes",
        "tapetum.k8s.requests",
        "tapetum.k8s.received",
        "tapetum.k8s.lists",
        "tapetum.k8s.restarts",
        "tapetum.k8s.unreadable",
        "tapetum.k8s.unresolved",
        "tapetum.k8s.behind",
    ],
    example: "node = \"node-1\"\nscope = \"cluster\"\nnetworks = { \"203.0.113.0/24\" = \"payments-provider\" }\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// How often entities that nobody uses any more are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether somebody has waited long enough.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So long after the start names are waited for that the first list of a large cluster may bring.
const FIRST_LIST: Duration = Duration::from_secs(15);

/// See the module.
pub struct K8s {
    /// Held, so that the watch goes on; a test hands in an index alone.
    cluster: Option<Cluster>,
    index: Option<Index>,
    node: String,
    scope: Scope,
    wait: Duration,
    locals: Locals,
    addresses: Addresses,
    networks: Networks,
    waiting: Waiting,
    unnamed: [Counter; 4],
    /// When the first batch came, or the first look was taken.
    started: Option<Duration>,
    /// Of the snapshot by which was looked last whether names have come.
    version: u64,
    forget_at: Duration,
}

/// Why a record leaves without a name that it should have.
#[derive(Clone, Copy)]
enum Unnamed {
    /// It was waited for in vain.
    Late,
    /// Too many waited.
    Full,
    /// The API server is not heard: nobody waits.
    Away,
    /// The agent stops.
    Drain,
}

const UNNAMED: [&str; 4] = ["late", "full", "away", "drain"];

/// By what the rows of one turn are named.
#[derive(Clone, Copy)]
struct Turn<'a> {
    snapshot: Option<&'a Snapshot>,
    now: Duration,
    /// Until when what is not known now is waited for.
    until: Option<Duration>,
    transport: Transport,
    unnamed: Unnamed,
}

fn build(settings: &Settings, context: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let cluster = Cluster::near(&config, context)?;
    let index = cluster.as_ref().map(Cluster::index);
    let mut named = K8s::new(&config, index, &context.telemetry)?;
    named.cluster = cluster;
    Ok(Box::new(named))
}

impl K8s {
    /// One that reads an index which somebody else fills: a bench, a test.
    ///
    /// # Errors
    /// If the settings are wrong.
    pub fn over(index: Index, settings: &Settings, context: &Context) -> Result<Self, BuildError> {
        let config: Config = settings
            .read()
            .map_err(|why| BuildError::new(why.to_string()))?;
        Self::new(&config, Some(index), &context.telemetry)
    }

    fn new(
        config: &Config,
        index: Option<Index>,
        telemetry: &Telemetry,
    ) -> Result<Self, BuildError> {
        let mut networks = Vec::new();
        for (cidr, name) in &config.networks {
            let cidr = Cidr::parse(cidr).map_err(|why| BuildError::new(why.to_string()))?;
            networks.push((cidr, name.clone()));
        }
        Ok(Self {
            cluster: None,
            index,
            node: config.node.clone(),
            scope: config.scope,
            wait: config.wait.0,
            locals: Locals::new(&config.node),
            addresses: Addresses::default(),
            networks: Networks::new(networks),
            waiting: Waiting::default(),
            unnamed: UNNAMED
                .map(|reason| telemetry.counter(Metric::K8sUnnamed, &[(Attr::Reason, reason)])),
            started: None,
            version: 0,
            forget_at: Duration::ZERO,
        })
    }

    fn turn<'a>(&mut self, snapshot: Option<&'a Snapshot>, now: Now) -> Turn<'a> {
        let started = *self.started.get_or_insert(now.monotonic);
        let until = snapshot.and_then(|snapshot| self.patience(snapshot.state(), started, now));
        Turn {
            snapshot,
            now: now.monotonic,
            until,
            transport: Transport::Tcp,
            unnamed: if until.is_some() {
                Unnamed::Late
            } else {
                Unnamed::Away
            },
        }
    }

    /// Until when what is not known now is worth waiting for.
    fn patience(&self, state: State, started: Duration, now: Now) -> Option<Duration> {
        if self.wait.is_zero() {
            return None;
        }
        let until = now.monotonic + self.wait;
        if !state.synced {
            let first = started + FIRST_LIST.max(self.wait);
            return (now.monotonic < first).then(|| until.max(first));
        }
        let cut_off = state
            .behind_since
            .is_some_and(|since| now.unix.since(since) > self.wait);
        (!cut_off).then_some(until)
    }

    /// Names a row, or says that it waits: then it is as it came.
    fn name(
        &mut self,
        waiting: &mut Waiting,
        rows: &mut dyn Rows,
        row: usize,
        turn: &Turn<'_>,
    ) -> bool {
        let (near, far) = rows.ends(row);
        let (near_goes, near_open) = match &near.entity {
            Some(entity) => {
                let local = self.locals.find(entity, turn.snapshot);
                (Some(Arc::clone(&local.goes)), local.open)
            }
            None => (None, false),
        };
        let lent = far.entity.is_some() && self.is_lent_too_long(rows, row, turn);
        let (answer, far_end) = match &far.entity {
            Some(entity) if !lent => {
                let local = self.locals.find(entity, turn.snapshot);
                let service = turn.snapshot.and_then(|snapshot| {
                    let of = Question::of(rows, row, turn.transport);
                    far::service(&of, snapshot, local.pod.as_deref())
                });
                let answer = Answer {
                    entity: Some(Arc::clone(&local.goes)),
                    service,
                    translated: false,
                };
                (answer, local.open.then(|| End::near(entity)))
            }
            _ => self.far(&Question::of(rows, row, turn.transport), turn),
        };
        let near_end = near.entity.as_ref().filter(|_| near_open);
        let near_end = near_end.map(End::near);
        if near_end.is_some() || far_end.is_some() {
            let mut waits = false;
            for end in [near_end, far_end].into_iter().flatten() {
                waits |= waiting.waits(end, turn.now, turn.until);
            }
            if waits {
                return true;
            }
            self.unnamed[turn.unnamed as usize].add(1);
        }
        let (near, far) = rows.ends_mut(row);
        near.entity = near_goes;
        far.entity = answer.entity;
        far.translated |= answer.translated;
        if far.service.is_none() {
            far.service = answer.service;
        }
        false
    }

    /// A connect that nobody accepted bears the name of who served at its address lately: not where the
    /// cluster knows that this pod had the address no more.
    fn is_lent_too_long(&mut self, rows: &dyn Rows, row: usize, turn: &Turn<'_>) -> bool {
        let (_, far) = rows.ends(row);
        let failed = rows.initiated_here(row) && rows.trace(row).is_some_and(|span| span.error);
        let (true, Some(snapshot), Some(entity)) = (failed, turn.snapshot, &far.entity) else {
            return false;
        };
        let of = Question::of(rows, row, turn.transport);
        let local = self.locals.find(entity, turn.snapshot);
        let pod = local.pod.as_deref();
        pod.is_some_and(|pod| far::has_lost_it(pod, &of, snapshot))
    }

    /// What the address of a far end says, and what of it is waited for.
    fn far(&mut self, of: &Question, turn: &Turn<'_>) -> (Answer, Option<End>) {
        let Some(snapshot) = turn.snapshot.filter(|_| self.scope == Scope::Cluster) else {
            let outside = self.networks.outside(of.asked.ip());
            let entity = self.networks.named(of.asked.ip()).or(outside).cloned();
            let answer = Answer {
                entity,
                ..Answer::default()
            };
            return (answer, None);
        };
        let mut answer = self.addresses.name(of, snapshot, &self.node);
        if answer.entity.is_some() {
            return (answer, None);
        }
        // Of a Service that was asked for nobody knows who answered: that is no pod's address.
        if answer.service.is_some() && of.answered_by.is_none() {
            return (answer, None);
        }
        let ip = of.address().ip();
        let named = self.networks.named(of.asked.ip());
        let named = named.or_else(|| self.networks.named(ip)).or_else(|| {
            let neighbours = far::are_neighbours(of.near.ip(), ip);
            self.networks.outside(ip).filter(|_| !neighbours)
        });
        answer.entity = named.cloned();
        let open = answer.entity.is_none() && far::may_be_a_pod(ip);
        (answer, open.then_some(End::Far(ip)))
    }

    /// Lets go what waits and need not any longer.
    fn look(&mut self, turn: &Turn<'_>, out: &mut Output) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let released = waiting.release(turn.now, |waiting, records, row| {
            self.name(waiting, records.as_rows_mut(), row, turn)
        });
        self.waiting = waiting;
        out.batches.extend(released);
    }

    fn look_if_worth(&mut self, turn: &Turn<'_>, out: &mut Output) {
        let version = turn.snapshot.map_or(0, Snapshot::version);
        let changed = std::mem::replace(&mut self.version, version) != version;
        if !self.waiting.is_empty() && (changed || self.waiting.is_due(turn.now)) {
            self.look(turn, out);
        }
    }

    /// Everything that waits leaves now, by the names that are known.
    fn let_go(&mut self, turn: Turn<'_>, why: Unnamed, out: &mut Output) {
        self.waiting.give_up(turn.now);
        let turn = Turn {
            until: None,
            unnamed: why,
            ..turn
        };
        self.look(&turn, out);
    }

    /// Names the rows of a batch; takes out those that wait.
    fn name_all(&mut self, records: &mut Records, turn: &Turn<'_>) -> Option<Records> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let rows = records.as_rows_mut();
        let mut waits: Vec<bool> = Vec::new();
        for row in 0..rows.rows() {
            let behind = !waiting.is_empty() && waiting.waits_behind(rows.identity(row));
            if behind || self.name(&mut waiting, rows, row, turn) {
                waits.resize(rows.rows(), false);
                waits[row] = true;
            }
        }
        self.waiting = waiting;
        (!waits.is_empty()).then(|| rows.take(&mut |row| waits[row]))
    }

    fn forget(&mut self, now: Duration) {
        if now < self.forget_at {
            return;
        }
        self.forget_at = now + FORGET_EVERY;
        self.locals.forget();
        let locals = &self.locals;
        self.waiting.forget(|end| match end {
            End::Near(pointer) => locals.knows(*pointer),
            End::Far(_) => true,
        });
    }
}

impl Processor for K8s {
    fn process(&mut self, mut batch: Batch, now: Now, out: &mut Output) {
        let snapshot = self.index.as_ref().map(Index::snapshot);
        let turn = self.turn(snapshot.as_deref(), now);
        self.look_if_worth(&turn, out);
        let waiting = match &mut batch.payload {
            Payload::Records(records) => {
                let transport = far::transport(records.as_rows());
                self.name_all(records, &Turn { transport, ..turn })
            }
            Payload::Points(_) | Payload::Otlp(_) => None,
        };
        if let Some(records) = waiting {
            self.waiting.hold(records, &batch);
        }
        out.send(batch);
        if self.waiting.is_full() {
            self.let_go(turn, Unnamed::Full, out);
        }
    }

    fn flush(&mut self, why: Flush, now: Now, out: &mut Output) {
        let snapshot = self.index.as_ref().map(Index::snapshot);
        let turn = self.turn(snapshot.as_deref(), now);
        match why {
            Flush::Timer => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.tell(now.unix);
                }
                self.look_if_worth(&turn, out);
                self.forget(now.monotonic);
            }
            // Who asks for metrics waits no more for a name than anybody else does.
            Flush::Scrape => {}
            Flush::Drain => self.let_go(turn, Unnamed::Drain, out),
        }
    }

    fn flush_every(&self) -> Option<Duration> {
        Some(match self.index {
            Some(_) => LOOK_EVERY,
            None => FORGET_EVERY,
        })
    }
}
