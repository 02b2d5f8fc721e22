//! The drain: in the order of the flow, within one deadline; what is left then is counted and said.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::parts::{End, Task};
use super::running::Running;
use crate::books::Books;
use crate::queue::Front;

/// What a stop left behind.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Items that were still in a queue at the deadline, by exporter; empty if all went out.
    pub left: Vec<(String, u64)>,
    /// Items that were written to disk instead, by exporter: the next start sends them.
    pub kept: Vec<(String, u64)>,
    /// Tasks that had to be cut off.
    pub cut_off: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// What became of every item. Nothing is held any more but by queues on disk.
    pub books: Books,
}

/// Beyond the deadline: what is cut off still counts what it had.
pub(super) const GRACE: Duration = Duration::from_millis(500);
/// Beyond that: what a disk may take for what is in memory.
pub(super) const KEEP: Duration = Duration::from_secs(5);

impl Running {
    /// Stops in the order of the flow: receivers send what they hold and end, pipelines flush,
    /// queues are sent, exporters close. Ends within `service.drain`; at once if nothing is slow.
    pub async fn stop(mut self) -> Report {
        let begun = Instant::now();
        let drain = self.service.drain;
        let deadline = begun + drain;
        info!(?drain, "stops");
        let mut report = Report::default();

        // A receiver that hangs may not take the time of what is already in the queues.
        let (mut receivers, mut ways) = (Vec::new(), Vec::new());
        for part in self.parts.receivers.drain(..) {
            part.stop.send_replace(true);
            receivers.push(part.task);
            ways.push((part.stop, part.ways));
        }
        end(receivers, begun + drain / 2, &mut report.cut_off).await;
        ways.iter().for_each(|(_, ways)| ways.set(Some(Vec::new())));

        let (mut pipelines, mut senders, mut servers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fronts, mut cuts, mut drains, mut stops) =
            (Vec::new(), vec![self.cutting], Vec::new(), Vec::new());
        for part in self.parts.pipelines.drain(..) {
            cuts.push(part.cut);
            pipelines.push(part.task);
        }
        for part in self.parts.exporters.drain(..) {
            match part.end {
                End::Sent(sent) => {
                    fronts.push(sent.front);
                    cuts.push(sent.cut);
                    drains.push(sent.drain);
                    senders.push(sent.task);
                }
                End::Asked(asker) => {
                    stops.push(asker.stop);
                    servers.push(asker.task);
                }
            }
        }
        throw(&drains);
        let pipelines = end_politely(pipelines, deadline).await;
        for front in &fronts {
            front.queue.close();
        }
        let senders = end_politely(senders, deadline).await;
        let mut leaving = self.parts.leaving;
        for task in &mut leaving {
            if timeout_at(deadline, &mut *task).await.is_err() {
                break;
            }
        }
        throw(&cuts);
        let grace = deadline.max(Instant::now()) + GRACE;
        end(pipelines, grace, &mut report.cut_off).await;
        end(senders, grace, &mut report.cut_off).await;

        throw(&stops);
        end(servers, grace, &mut report.cut_off).await;
        for task in leaving {
            if !task.is_finished() {
                report.left.extend(task.await.unwrap_or_default());
            }
        }
        report.kept = keep(&fronts).await;
        report.left.extend(abandon(&fronts));
        if let Some(admin) = self.admin {
            admin.task.abort();
        }
        report.took = begun.elapsed();
        report.books = self.state.ledger.books();
        info!(took = ?report.took, "has stopped");
        report
    }
}

/// Lets queues with a disk write what they still hold; how much that is, by exporter.
async fn keep(fronts: &[Arc<Front>]) -> Vec<(String, u64)> {
    let deadline = Instant::now() + KEEP;
    let mut kept = Vec::new();
    for front in fronts {
        let items = front.keep(deadline).await;
        if items > 0 {
            info!(exporter = %front.id, items, "what was left in the queue is on disk: the next start sends it");
            kept.push((front.id.to_string(), items));
        }
    }
    kept
}

/// Counts what queues still hold at the deadline; how much that is, by exporter.
fn abandon(fronts: &[Arc<Front>]) -> Vec<(String, u64)> {
    let mut left = Vec::new();
    for front in fronts {
        let items = front.abandon("drain");
        if items > 0 {
            warn!(exporter = %front.id, items, "the time to stop is over: what was left in the queue is dropped");
            left.push((front.id.to_string(), items));
        }
    }
    left
}

fn throw(switches: &[tokio::sync::watch::Sender<bool>]) {
    for switch in switches {
        switch.send_replace(true);
    }
}

/// Waits for tasks until `deadline`; returns those that are not done.
async fn end_politely(tasks: Vec<Task>, deadline: Instant) -> Vec<Task> {
    let mut late = Vec::new();
    for mut task in tasks {
        if timeout_at(deadline, &mut task.handle).await.is_err() {
            late.push(task);
        }
    }
    late
}

/// Waits for tasks until `deadline` and cuts off those that are not done.
pub(super) async fn end(tasks: Vec<Task>, deadline: Instant, cut_off: &mut Vec<String>) {
    for task in end_politely(tasks, deadline).await {
        warn!(task = %task.who, "did not end in time and is cut off");
        task.handle.abort();
        cut_off.push(task.who);
    }
}
