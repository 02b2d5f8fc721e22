//! The drain: in the order of the flow, within one deadline; what is left then is counted and said.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::running::{Running, Task};
use crate::books::Books;

/// What a stop left behind.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Items that were still in a queue at the deadline, by exporter; empty if all went out.
    pub left: Vec<(String, u64)>,
    /// Tasks that had to be cut off.
    pub cut_off: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// What became of every item. Nothing is held any more.
    pub books: Books,
}

/// Beyond the deadline: what is cut off still counts what it had.
const GRACE: Duration = Duration::from_millis(500);

impl Running {
    /// Stops in the order of the flow: receivers send what they hold and end, pipelines flush,
    /// queues are sent, exporters close. Ends within `service.drain`; at once if nothing is slow.
    pub async fn stop(self) -> Report {
        let begun = Instant::now();
        let deadline = begun + self.drain;
        info!(drain = ?self.drain, "stops");
        let mut report = Report::default();

        // A receiver that hangs may not take the time of what is already in the queues.
        self.receiving.send_replace(true);
        end(self.receivers, begun + self.drain / 2, &mut report.cut_off).await;

        drop(self.places);
        self.draining.send_replace(true);
        let pipelines = end_politely(self.pipelines, deadline).await;
        for front in &self.fronts {
            front.queue.close();
        }
        let exporters = end_politely(self.exporters, deadline).await;
        self.cutting.send_replace(true);
        let grace = deadline.max(Instant::now()) + GRACE;
        end(pipelines, grace, &mut report.cut_off).await;
        end(exporters, grace, &mut report.cut_off).await;

        self.serving.send_replace(true);
        end(self.servers, grace, &mut report.cut_off).await;
        for front in &self.fronts {
            let items = front.abandon("drain");
            if items > 0 {
                warn!(exporter = %front.id, items, "the time to stop is over: what was left in the queue is dropped");
                report.left.push((front.id.to_string(), items));
            }
        }
        if let Some(admin) = self.admin {
            admin.abort();
        }
        report.took = begun.elapsed();
        report.books = self.state.books();
        info!(took = ?report.took, "has stopped");
        report
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
async fn end(tasks: Vec<Task>, deadline: Instant, cut_off: &mut Vec<String>) {
    for task in end_politely(tasks, deadline).await {
        warn!(task = %task.who, "did not end in time and is cut off");
        task.handle.abort();
        cut_off.push(task.who);
    }
}
