//! What `aggregate` says of itself: of its work to the engine, of its completeness with the points.

use std::sync::Arc;

use tapetum_model::{Attr, Attributes, Loss, Metric, Point, PointValue, UnixNanos, Value, Window};
use tapetum_pipeline::{Context, Counter, Gauge};

/// Its counters and gauges, and what was lost before the records came here.
pub(super) struct Own {
    pub(super) series: Gauge,
    pub(super) folded_series: Counter,
    pub(super) folded_ports: Counter,
    start: UnixNanos,
    lost: [Lost; 3],
    window: Arc<Attributes>,
    window_end: UnixNanos,
}

/// Records that were lost at one stage.
struct Lost {
    attributes: Arc<Attributes>,
    cumulative: i64,
    delta: i64,
}

impl Own {
    pub(super) fn new(context: &Context) -> Self {
        let telemetry = &context.telemetry;
        let folded = |reason| telemetry.counter(Metric::AggregateFolded, &[(Attr::Reason, reason)]);
        let component = (Attr::Component, Value::Text(Arc::clone(&context.instance)));
        let stages = Loss::default().by_stage().map(|(stage, _)| stage);
        Self {
            series: telemetry.gauge(Metric::AggregateSeries, &[]),
            folded_series: folded("series"),
            folded_ports: folded("ports"),
            start: context.clock.now().unix,
            lost: stages.map(|stage| {
                let stage_name = (Attr::Stage, Value::Static(stage.name()));
                let attributes = Attributes([component.clone(), stage_name].into());
                Lost {
                    attributes: Arc::new(attributes),
                    cumulative: 0,
                    delta: 0,
                }
            }),
            window: Arc::new(Attributes([component].into())),
            window_end: UnixNanos(0),
        }
    }

    pub(super) fn cover(&mut self, window: &Window, loss: &Loss) {
        self.window_end = self.window_end.max(window.end);
        for (mine, (_, lost)) in self.lost.iter_mut().zip(loss.by_stage()) {
            let lost = i64::try_from(lost).unwrap_or(i64::MAX);
            mine.cumulative = mine.cumulative.saturating_add(lost);
            mine.delta = mine.delta.saturating_add(lost);
        }
    }

    /// What was lost on the way to these metrics, and until when they are complete.
    pub(super) fn points(&self, time: UnixNanos, into: &mut Vec<Point>) {
        let point = |metric, attributes: &Arc<Attributes>, value| Point {
            metric,
            attributes: Arc::clone(attributes),
            start: self.start,
            time: time.max(self.start),
            value,
            exemplar: None,
        };
        into.extend(self.lost.iter().map(|lost| {
            let value = PointValue::Sum {
                cumulative: lost.cumulative,
                delta: lost.delta,
            };
            point(Metric::RecordsLost, &lost.attributes, value)
        }));
        if self.window_end > UnixNanos(0) {
            let end = PointValue::Gauge(self.window_end.0 as f64);
            into.push(point(Metric::WindowEnd, &self.window, end));
        }
    }

    pub(super) fn settle(&mut self, live: usize) {
        self.series.set(live as i64);
        for lost in &mut self.lost {
            lost.delta = 0;
        }
    }
}
