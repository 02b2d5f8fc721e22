//! The task that reads and writes for one queue: what a slow disk costs, it costs here.
//!
//! A disk that fails is left alone for a while and then tried again. Meanwhile the queue works in memory,
//! and says so: in the log, in the metrics, in the text of `/readyz`.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tapetum_model::Metric;
use tapetum_spool::{Draft, Files, Log, Opened, SpoolError};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, info, warn};

use super::tier::{Group, Job, Unwritten, draft};
use super::{Front, folders};
use crate::retry::Restart;
use crate::{Counter, DiskSpec, Durable, Encoded, Gauge, Health, Stop, Telemetry};

/// What keeps one queue's disk. It lives as long as the queue, and does not hold it.
pub(super) struct Keeper {
    front: Weak<Front>,
    work: Arc<Notify>,
    files: Arc<dyn Files>,
    folder: PathBuf,
    spec: DiskSpec,
    health: Health,
    meters: Meters,
    log: Option<Log>,
    /// The disk failed, and is left alone until then.
    failed: Option<Failure>,
    settle_at: Instant,
    sync_at: Instant,
}

struct Failure {
    restart: Restart,
    again_at: Instant,
}

struct Meters {
    bytes: Gauge,
    segments: Gauge,
    damaged: Counter,
    degraded: Gauge,
    recovered: Counter,
}

/// What is delivered is noted this often: more often costs more than what is sent twice after a kill.
const SETTLE_EVERY: Duration = Duration::from_millis(25);
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// A disk that does not answer for so long is as good as none.
const SILENT: Duration = Duration::from_secs(5);

impl Meters {
    fn new(telemetry: &Telemetry, spec: DiskSpec) -> Self {
        let capacity = telemetry.gauge(Metric::QueueDiskCapacity, &[]);
        set(&capacity, spec.size_bytes);
        Self {
            bytes: telemetry.gauge(Metric::QueueDiskBytes, &[]),
            segments: telemetry.gauge(Metric::QueueDiskSegments, &[]),
            damaged: telemetry.counter(Metric::QueueDiskDamaged, &[]),
            degraded: telemetry.gauge(Metric::QueueDiskDegraded, &[]),
            recovered: telemetry.counter(Metric::QueueDiskRecovered, &[]),
        }
    }
}

impl Keeper {
    pub(super) fn new(
        front: &Arc<Front>,
        spec: DiskSpec,
        (files, folder): (Arc<dyn Files>, PathBuf),
        telemetry: &Telemetry,
        health: Health,
    ) -> Self {
        Self {
            front: Arc::downgrade(front),
            work: Arc::clone(&front.queue.work),
            files,
            folder,
            spec,
            health,
            meters: Meters::new(telemetry, spec),
            log: None,
            failed: None,
            settle_at: Instant::now(),
            sync_at: Instant::now(),
        }
    }

    /// Runs until `stop`; then writes what is in memory only, and says how many items are on the disk.
    pub(super) async fn run(mut self, mut stop: Stop) -> u64 {
        while !stop.requested() {
            let Some(front) = self.front.upgrade() else {
                return 0;
            };
            // What was begun is ended: only waiting is interrupted.
            let busy = self.turn(&front).await;
            drop(front);
            if busy {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                () = stop.wait() => {}
                () = self.wait() => {}
            }
        }
        let Some(front) = self.front.upgrade() else {
            return 0;
        };
        if let Err(why) = self.keep(&front).await {
            self.fell(&front, &why);
        }
        let unread = self.log.as_ref().map_or(0, |log| log.unread().1);
        unread + front.queue.items_on_disk()
    }

    /// Waits until there may be something to do.
    async fn wait(&self) {
        let settle_at = Some(self.settle_at).filter(|at| *at > Instant::now());
        let timers = match &self.failed {
            // Nothing else is done before: a time that has passed would be awaited again and again.
            Some(failed) => [Some(failed.again_at), None],
            None => [self.syncs().then_some(self.sync_at), settle_at],
        };
        match timers.into_iter().flatten().min() {
            Some(at) => tokio::select! {
                () = self.work.notified() => {}
                () = sleep_until(at) => {}
            },
            None => self.work.notified().await,
        }
    }

    /// Does one thing that there is to do; whether there may be more.
    async fn turn(&mut self, front: &Front) -> bool {
        let now = Instant::now();
        let failed = self.failed.as_ref();
        let may_write = failed.is_none_or(|failed| failed.again_at <= now);
        let done = if self.log.is_none() {
            match may_write {
                true => self.open(front).await,
                false => return false,
            }
        } else if self.syncs() && self.sync_at <= now && may_write {
            self.sync_at = now + SYNC_EVERY;
            self.with(front, Log::sync).await
        } else if let Some(job) = front.queue.job(may_write, self.settle_at <= now) {
            self.work(front, job).await
        } else if self.failed.is_some() && may_write {
            let probed = self.with(front, |log| log.probe()).await;
            probed.map(|()| {
                front.queue.recovered();
                self.rose(front);
            })
        } else {
            return false;
        };
        match done {
            Ok(()) => true,
            Err(why) => {
                self.fell(front, &why);
                false
            }
        }
    }

    async fn work(&mut self, front: &Front, job: Job) -> Result<(), SpoolError> {
        match job {
            Job::Write(group) => self.write(front, group).await?,
            Job::Load { room, at_least_one } => {
                let load = move |log: &mut Log| {
                    let loaded = log.load(room, Encoded::overhead_bytes(), at_least_one)?;
                    Ok((loaded, log.unread().0))
                };
                let (loaded, unread) = self.with(front, load).await?;
                self.damaged(front, loaded.damaged_bytes, loaded.damaged_items);
                front.queue.loaded(loaded, unread);
            }
            Job::Settle(position) => {
                self.settle_at = Instant::now() + SETTLE_EVERY;
                self.with(front, move |log| log.settle(position)).await?;
                front.queue.settled(position, self.used_bytes());
            }
        }
        front.tell();
        Ok(())
    }

    async fn write(&mut self, front: &Front, group: Group) -> Result<(), SpoolError> {
        let size = self.spec.size_bytes;
        let always = self.spec.sync == Durable::Always;
        let write = move |log: &mut Log| {
            let messages = group.messages.iter().map(Unwritten::draft);
            let drafts: Vec<Draft<'_>> = messages.collect();
            let cost: u64 = drafts.iter().map(Draft::cost_bytes).sum();
            let mut dropped = None;
            if group.messages.iter().any(|one| one.evicts) {
                while log.used_bytes() + cost > size && log.segments() > 0 {
                    let gone = log.drop_oldest()?;
                    let (_, items) = dropped.unwrap_or_default();
                    dropped = Some((gone.segment, items + gone.items));
                }
            }
            let unread = log.unread().0;
            let ends = log.append(&drafts, group.in_memory)?;
            if always {
                log.sync()?;
            }
            drop(drafts);
            Ok((group, ends, dropped, unread))
        };
        let (group, ends, dropped, unread) = self.with(front, write).await?;
        if let Some((segment, items)) = dropped {
            front.queue.dropped(segment, unread);
            front.lost_on_disk(items, "queue_full");
            warn!(exporter = %front.id, items,
                "the disk budget of the queue is used up: the oldest messages are dropped");
        }
        front.queue.written(&group, &ends, self.used_bytes());
        self.rose(front);
        Ok(())
    }

    /// Opens the folder, if need be again.
    async fn open(&mut self, front: &Front) -> Result<(), SpoolError> {
        let (files, folder) = (Arc::clone(&self.files), self.folder.clone());
        let limits = folders::limits(self.spec);
        let open = move || Log::open(files, &folder, limits);
        let Opened { log, recovered } = self.blocking(front, open).await?;
        let used = log.used_bytes();
        self.log = Some(log);
        for one in &recovered.set_aside {
            warn!(exporter = %front.id, "a segment of the queue is set aside: {one}");
        }
        self.damaged(front, recovered.damaged_bytes, 0);
        if recovered.messages > 0 {
            info!(exporter = %front.id, items = recovered.items, messages = recovered.messages,
                "sends first what it found on disk");
        }
        self.meters.recovered.add(recovered.items);
        front.found(recovered.items);
        front.queue.opened(recovered.messages, used);
        self.measure();
        self.rose(front);
        front.tell();
        Ok(())
    }

    fn damaged(&self, front: &Front, bytes: u64, items: u64) {
        if bytes > 0 {
            self.meters.damaged.add(bytes);
            front.lost_on_disk(items, "damaged");
            warn!(exporter = %front.id, bytes, items, folder = %self.folder.display(),
                "a part of the queue on disk is torn or damaged and is left out");
        }
    }

    /// The disk cannot be used for a while.
    fn fell(&mut self, front: &Front, why: &SpoolError) {
        let said = format!("the queue cannot use its disk and works in memory: {why}");
        let mut failed = self.failed.take().unwrap_or_else(|| {
            error!(exporter = %front.id, "{said}");
            Failure {
                restart: Restart::default(),
                again_at: Instant::now(),
            }
        });
        failed.again_at = Instant::now() + failed.restart.wait(Duration::ZERO);
        self.failed = Some(failed);
        self.health.note(Some(said));
        self.meters.degraded.set(1);
        front.queue.degraded();
        front.tell();
    }

    fn rose(&mut self, front: &Front) {
        if self.failed.take().is_some() {
            info!(exporter = %front.id, "the queue uses its disk again");
            self.health.note(None);
            self.meters.degraded.set(0);
        }
    }

    /// Whether what was written is to be synced by the clock.
    fn syncs(&self) -> bool {
        self.spec.sync == Durable::Second && self.log.as_ref().is_some_and(Log::is_dirty)
    }

    fn used_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::used_bytes)
    }

    fn measure(&self) {
        if let Some(log) = &self.log {
            set(&self.meters.bytes, log.used_bytes());
            set(&self.meters.segments, log.segments() as u64);
        }
    }

    /// A stop: nothing that is in memory only may end with it.
    async fn keep(&mut self, front: &Front) -> Result<(), SpoolError> {
        if self.log.is_none() {
            self.open(front).await?;
        }
        while let Some(group) = front.queue.unwritten() {
            self.write(front, group).await?;
        }
        if let Some(position) = front.queue.to_settle() {
            self.with(front, move |log| log.settle(position)).await?;
            front.queue.settled(position, self.used_bytes());
        }
        let kept = front.queue.to_keep();
        if !kept.is_empty() {
            let write = move |log: &mut Log| {
                let drafts = kept.iter().map(|(message, loss)| draft(message, loss));
                log.prepend(&drafts.collect::<Vec<_>>())
            };
            self.with(front, write).await?;
            front.queue.kept();
        }
        self.with(front, Log::sync).await
    }

    /// Does something with the log, off the workers if the disk may keep a thread waiting.
    async fn with<T: Send + 'static>(
        &mut self,
        front: &Front,
        work: impl FnOnce(&mut Log) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let Some(mut log) = self.log.take() else {
            return Err(self.gone("it is not open"));
        };
        let work = move || {
            let done = work(&mut log);
            Ok((log, done))
        };
        let (log, done) = self.blocking(front, work).await?;
        self.log = Some(log);
        self.measure();
        done
    }

    async fn blocking<T: Send + 'static>(
        &mut self,
        front: &Front,
        work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        if !self.files.may_wait() {
            return work();
        }
        let mut handle: JoinHandle<Result<T, SpoolError>> = spawn_blocking(work);
        let done = match timeout(SILENT, &mut handle).await {
            Ok(done) => done,
            Err(_) => {
                let why = self.gone("it does not answer");
                self.fell(front, &why);
                handle.await
            }
        };
        match done {
            Ok(done) => done,
            Err(why) => {
                // The log is gone with it: the folder is opened anew.
                sleep(SYNC_EVERY).await;
                Err(self.gone(&why.to_string()))
            }
        }
    }

    fn gone(&self, why: &str) -> SpoolError {
        SpoolError::Io {
            what: "use",
            path: self.folder.clone(),
            why: io::Error::other(why.to_owned()),
        }
    }
}

fn set(gauge: &Gauge, n: u64) {
    gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
}
