//! The thread that holds the probe: it sleeps until the kernel has something, takes it through the table
//! in one go, and sweeps on time. It never waits for a pipeline but where a batch has no place to go;
//! then the ring fills, and what finds no room there is counted and found again.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use tapetum_model::{Batch, Connection, Loss, Origin, Payload, Records, UnixNanos, Window};
use tapetum_pipeline::{BuildError, Context, RunError};
use tapetum_probes::conntrack::Conntrack;
use tapetum_probes::loader;
use tapetum_probes::tcp::{NodeGroup, Probe, ProbeError};
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};

use super::Word;
use super::clock::{Moment, monotonic_ns};
use super::config::Config;
use super::exclude::Exclude;
use super::ids::Ids;
use super::table::{Answers, Rules, Table, WAIT_NS};
use super::telemetry::Tell;
use crate::identity::{Names, Node};

/// Rows in a batch.
pub(super) const ROWS_MAX: usize = 1_024;
/// Batches on the way at once: one that fills, and those that wait for a pipeline.
pub(super) const BATCHES_MAX: usize = 4;

/// The longest sleep: a stop is noticed after it.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// While first rows wait: longer than they do, so that no row is told later than twice this, and at most
/// 40 wake-ups a second.
const SLEEP_WHILE_WAITING: Duration = Duration::from_millis(25);
const _: () = assert!(SLEEP_WHILE_WAITING.as_nanos() > WAIT_NS as u128);
/// A sweep that is this late makes the receiver not ready.
const LATE: Duration = Duration::from_secs(5);
/// Sockets that wait in a listener's queue at the start are found once they were accepted.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// In so long a time connection tracking is asked at most so often: 2 % of a core.
const ASK_WINDOW: Duration = Duration::from_millis(500);
const ASKED_MAX: u32 = 2_000;

pub(super) struct Watch {
    probe: Probe,
    table: Table,
    tell: Tell,
    context: Context,
    sweep: Duration,
    window_start: UnixNanos,
}

/// The task is gone: nobody takes batches any more.
struct Gone;

impl Watch {
    /// Loads the probe. From here on the kernel writes down what happens.
    pub(super) fn start(config: &Config, context: Context) -> Result<Self, BuildError> {
        let mut options = config.probe();
        let pid = std::process::id();
        let node = Node::of_process(&options.host.proc, pid);
        info!(%node, "it is known what is reported");
        options.node = node.group().map(|group| NodeGroup {
            id: group.id,
            v1: group.v1,
        });
        let probe = Probe::start(&options).map_err(|why| BuildError::new(chain(&why)))?;
        for missing in probe.missing() {
            warn!(
                program = missing.hook.program,
                lost = missing.hook.lost,
                "a kernel hook is missing"
            );
        }
        let names = Names::of_host(&context.service.host, &options.host.proc, pid);
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let rules = Rules {
            interval_ns: nanos(config.interval.0),
            sweep_ns: nanos(config.sweep.0),
            connections_max: config.places(),
            exclude: Exclude::new(&config.exclude, pid, &context.telemetry),
        };
        let random = random_key(&options.host.proc)
            .map_err(|why| BuildError::new(format!("cannot draw a random key: {why}")))?;
        let ids = Ids::new(context.service.trace_key.as_deref(), random);
        let window_start = context.clock.now().unix;
        Ok(Self {
            probe,
            table: Table::new(rules, ids, names, answers()),
            tell: Tell::new(&context.telemetry),
            sweep: config.sweep.0,
            window_start,
            context,
        })
    }

    /// Runs until the word to stop comes; then everything so far is said.
    pub(super) fn run(mut self, word: &Word, out: &Sender<Batch>) -> Result<(), RunError> {
        match self.watch(word, out) {
            Ok(()) => Ok(()),
            Err(End::Gone) => Ok(()),
            Err(End::Failed(why)) => Err(RunError::new(chain(&why))),
        }
    }

    fn watch(&mut self, word: &Word, out: &Sender<Batch>) -> Result<(), End> {
        self.adopt(out)?;
        self.sweep_now(word, out)?;
        loader::release();
        self.context.health.ready();
        info!(
            connections = self.table.tracked(),
            "every connection is watched"
        );
        let mut second_look = Some(Instant::now() + SECOND_LOOK);
        let mut next_sweep = Instant::now() + self.sweep;
        while !word.stop() {
            self.sleep(next_sweep.saturating_duration_since(Instant::now()))?;
            self.take(out)?;
            if second_look.is_some_and(|when| when <= Instant::now()) {
                second_look = None;
                self.adopt(out)?;
            }
            if next_sweep <= Instant::now() {
                next_sweep = Instant::now() + self.sweep * word.patience();
                self.sweep_now(word, out)?;
            }
        }
        self.last_words(word, out)
    }

    /// Sleeps until there may be something to do.
    fn sleep(&self, most: Duration) -> Result<(), End> {
        if self.table.waits() {
            thread::sleep(most.min(SLEEP_WHILE_WAITING));
        } else {
            let waited = self.probe.wait(most.min(SLEEP_MAX));
            waited.map_err(|source| ProbeError::Iterator {
                program: "ring",
                source,
            })?;
        }
        Ok(())
    }

    /// Takes in the connections that are older than the agent.
    fn adopt(&mut self, out: &Sender<Batch>) -> Result<(), End> {
        match self.probe.adopt() {
            Ok(_) => {
                self.know_self()?;
                self.take(out)
            }
            Err(why @ ProbeError::NoAdoption) => {
                warn!("{why}");
                self.context.health.note(Some(why.to_string()));
                Ok(())
            }
            Err(why) => Err(why.into()),
        }
    }

    /// Before the first row is taken: only the kernel knows which number this process has there.
    fn know_self(&mut self) -> Result<(), End> {
        let reader = self.probe.counters()?.reader;
        if let Ok(pid @ 1..) = u32::try_from(reader) {
            self.table.rules.exclude.known_as(pid);
        }
        Ok(())
    }

    fn sweep_now(&mut self, word: &Word, out: &Sender<Batch>) -> Result<(), End> {
        let began = Instant::now();
        let sweep = self.probe.sweep()?;
        self.know_self()?;
        let took = began.elapsed();
        if !sweep.whole() {
            warn!(
                lost = sweep.lost,
                "a sweep found no room in the ring: give it a larger `ring`"
            );
        }
        self.take(out)?;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.tell
            .swept(nanos, self.table.tracked(), &self.probe.program_stats());
        let deadline = self.context.clock.now().monotonic + self.sweep * word.patience() * 2 + LATE;
        self.context.health.beat("a sweep", deadline);
        Ok(())
    }

    /// Takes what is in the ring through the table.
    fn take(&mut self, out: &Sender<Batch>) -> Result<(), End> {
        self.read_clocks();
        let Self { probe, table, .. } = self;
        // What is full goes at once: a sweep may have far more rows than a batch has.
        let mut gone = false;
        let (tell, context, window_start) = (&mut self.tell, &self.context, &mut self.window_start);
        probe.drain(&mut |event| {
            table.on(event);
            if table.rows.len() >= ROWS_MAX && !gone {
                gone = ship(&mut table.rows, tell.loss(), context, window_start, out).is_err();
            }
        });
        if gone {
            return Err(End::Gone);
        }
        self.tell
            .counts(self.probe.counters()?, self.table.noticed());
        let now_ns = monotonic_ns();
        loop {
            let all = self.table.settle(now_ns, ROWS_MAX);
            self.ship(out)?;
            if all {
                return Ok(());
            }
        }
    }

    /// The last sweep, at once: every period so far is sent as a span.
    fn last_words(&mut self, word: &Word, out: &Sender<Batch>) -> Result<(), End> {
        self.take(out)?;
        while !self.table.settle(u64::MAX, ROWS_MAX) {
            self.ship(out)?;
        }
        self.table.rules.interval_ns = 0;
        self.sweep_now(word, out)?;
        while !self.table.settle(u64::MAX, ROWS_MAX) {
            self.ship(out)?;
        }
        while !self.table.stop(ROWS_MAX) {
            self.ship(out)?;
        }
        self.ship(out)
    }

    fn read_clocks(&mut self) {
        let now = Moment::now(&*self.context.clock);
        if let Some(step) = self.table.offset.read(now) {
            warn!(seconds = step.as_secs_f64(), "the wall clock was stepped");
        }
    }

    fn ship(&mut self, out: &Sender<Batch>) -> Result<(), End> {
        if self.table.rows.is_empty() {
            return Ok(());
        }
        let loss = self.tell.loss();
        let (context, window_start) = (&self.context, &mut self.window_start);
        ship(&mut self.table.rows, loss, context, window_start, out).map_err(|Gone| End::Gone)
    }
}

/// Why the thread ends before it is asked to.
enum End {
    Gone,
    Failed(ProbeError),
}

impl From<ProbeError> for End {
    fn from(why: ProbeError) -> Self {
        Self::Failed(why)
    }
}

/// Hands the rows over as batches whose windows follow on each other.
fn ship(
    rows: &mut Vec<Connection>,
    mut loss: Loss,
    context: &Context,
    window_start: &mut UnixNanos,
    out: &Sender<Batch>,
) -> Result<(), Gone> {
    while !rows.is_empty() {
        let mut rest = rows.split_off(rows.len().min(ROWS_MAX));
        // As many come again, as long as a burst lasts: growing step by step would copy them all.
        rest.reserve(rows.len());
        let end = context.clock.now().unix;
        let batch = Batch {
            payload: Payload::Records(Records::Connections(mem::replace(rows, rest).into())),
            window: Window {
                start: mem::replace(window_start, end),
                end,
            },
            loss: mem::take(&mut loss),
            origin: Origin::Kernel,
        };
        out.blocking_send(batch).map_err(|_| Gone)?;
    }
    Ok(())
}

/// Asks connection tracking, where this process may: not more often than a burst of connections can
/// afford.
fn answers() -> Option<Answers> {
    let mut conntrack = match Conntrack::open() {
        Ok(conntrack) => conntrack,
        Err(why) => {
            info!(%why, "connection tracking cannot be asked: who answers behind a virtual IP is only known where both ends are on this host");
            return None;
        }
    };
    let mut window = Instant::now();
    let mut asked = 0;
    Some(Box::new(move |from, to| {
        if window.elapsed() >= ASK_WINDOW {
            (window, asked) = (Instant::now(), 0);
        }
        asked += 1;
        if asked > ASKED_MAX {
            return None;
        }
        conntrack.answerer(from, to).ok().flatten()
    }))
}

/// An error with what is behind it, in one line.
fn chain(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut source = why.source();
    while let Some(why) = source {
        text += &format!(": {why}");
        source = why.source();
    }
    text
}

/// 16 random bytes from the kernel, by way of the one file that needs no system call of ours.
fn random_key(proc: &std::path::Path) -> std::io::Result<[u8; 16]> {
    let text = std::fs::read_to_string(proc.join("sys/kernel/random/uuid"))?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .map(u128::to_be_bytes)
        .map_err(std::io::Error::other)
}
