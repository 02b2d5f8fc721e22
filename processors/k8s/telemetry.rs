//! What the watch of the cluster does, as metrics of the processor.

use tapetum_k8s::{Counted, Kind, State};
use tapetum_model::{Attr, Metric, UnixNanos};
use tapetum_pipeline::{Counter, Gauge, Telemetry};

/// Counters and gauges of a watch. They say nothing of a pipeline: the watch is one for all.
pub(super) struct Told {
    objects: [Gauge; Kind::ALL.len()],
    changes: Counter,
    answered: Counter,
    failed: Counter,
    received: Counter,
    lists: Counter,
    restarts: Counter,
    unreadable: Counter,
    unresolved: Counter,
    behind: Gauge,
}

impl Told {
    /// `telemetry`: the component's, without a pipeline.
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let counter = |metric| telemetry.counter(metric, &[]);
        let requests = |reason| telemetry.counter(Metric::K8sRequests, &[(Attr::Reason, reason)]);
        Self {
            objects: Kind::ALL
                .map(|kind| telemetry.gauge(Metric::K8sObjects, &[(Attr::Resource, kind.name())])),
            changes: counter(Metric::K8sChanges),
            answered: requests("ok"),
            failed: requests("failed"),
            received: counter(Metric::K8sReceived),
            lists: counter(Metric::K8sLists),
            restarts: counter(Metric::K8sRestarts),
            unreadable: counter(Metric::K8sUnreadable),
            unresolved: counter(Metric::K8sUnresolved),
            behind: telemetry.gauge(Metric::K8sBehind, &[]),
        }
    }

    /// `since`: what was counted since it was last told.
    pub(super) fn tell(&self, since: Counted, state: State, now: UnixNanos) {
        for (gauge, objects) in self.objects.iter().zip(since.objects) {
            gauge.set(i64::try_from(objects).unwrap_or(i64::MAX));
        }
        self.changes.add(since.events);
        // A failure is counted when it is known, its request when it began.
        self.answered
            .add(since.requests.saturating_sub(since.failures));
        self.failed.add(since.failures);
        self.received.add(since.received_bytes);
        self.lists.add(since.lists);
        self.restarts.add(since.restarts);
        self.unreadable.add(since.unreadable);
        self.unresolved.add(since.unresolved);
        let behind = state
            .behind_since
            .map_or(0, |since| now.since(since).as_nanos());
        self.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tapetum_model::PointValue;
    use tapetum_testkit::clock::EPOCH;

    use super::*;

    #[test]
    fn what_was_done_is_added_up_and_what_is_stands() {
        let telemetry = Telemetry::default().of("k8s");
        let told = Told::new(&telemetry);
        let counted = Counted {
            requests: 5,
            failures: 2,
            events: 7,
            objects: [10, 2, 3, 4],
            ..Counted::default()
        };
        let state = State {
            synced: true,
            behind_since: Some(EPOCH),
        };
        let now = EPOCH.plus(Duration::from_secs(30));
        told.tell(counted, state, now);
        told.tell(counted, state, now);
        let points = telemetry.points(EPOCH, now);
        let value = |metric, label: &str| {
            let has_label = |point: &&tapetum_model::Point| {
                let mut labels = point.attributes.0.iter();
                label.is_empty()
                    || labels.any(|(_, value)| *value == tapetum_model::Value::Text(label.into()))
            };
            let mut of_metric = points.iter().filter(|point| point.metric == metric);
            match of_metric.find(has_label).expect("it is told").value.clone() {
                PointValue::Sum { cumulative, .. } => cumulative,
                PointValue::Gauge(value) => value as i64,
                other => unreachable!("{other:?}"),
            }
        };
        assert_eq!(value(Metric::K8sChanges, ""), 14);
        assert_eq!(value(Metric::K8sRequests, "ok"), 6);
        assert_eq!(value(Metric::K8sRequests, "failed"), 4);
        assert_eq!(value(Metric::K8sObjects, "pods"), 10);
        assert_eq!(value(Metric::K8sBehind, ""), 30_000_000_000);
    }
}
