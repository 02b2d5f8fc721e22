//! Points of every kind.

use std::sync::Arc;

use tapetum_model::{
    Attr, Attributes, Exemplar, ExponentialHistogram, Metric, Point, PointValue, SpanId, TraceId,
    UnixNanos, Value,
};

/// A point with some attributes.
pub(crate) fn point(metric: Metric, value: PointValue) -> Point {
    Point {
        metric,
        attributes: Arc::new(Attributes(Box::new([
            (
                Attr::Source(Box::new(Attr::K8sNamespaceName)),
                Value::Text("shop".into()),
            ),
            (Attr::NetworkIoDirection, Value::Static("transmit")),
            (Attr::ServerPort, Value::Int(443)),
        ]))),
        start: UnixNanos(10),
        time: UnixNanos(20),
        value,
        exemplar: None,
    }
}

/// Points of every instrument, not in order.
pub(crate) fn points() -> Vec<Point> {
    let mut histogram = ExponentialHistogram::default();
    for value in [0.0, 0.001, 0.002, 4.0] {
        histogram.record(value);
    }
    let sum = |cumulative| PointValue::Sum {
        cumulative,
        delta: 1,
    };
    let mut with_exemplar = point(
        Metric::Rtt,
        PointValue::Histogram {
            cumulative: histogram.into(),
            delta: None,
        },
    );
    with_exemplar.exemplar = Some(Exemplar {
        trace: TraceId([1; 16]),
        span: SpanId([2; 8]),
        value: 0.5,
        time: UnixNanos(15),
    });
    vec![
        point(Metric::FlowBytes, sum(1 << 50)),
        with_exemplar,
        point(Metric::ConnectionsActive, sum(-2)),
        point(Metric::FlowBytes, sum(2)),
        point(Metric::ConnectionsTracked, PointValue::Gauge(2.5)),
        point(Metric::ProbeRunTime, sum(1_500_000_000)),
        point(Metric::FlowBytes, PointValue::Ended),
        point(Metric::Rtt, PointValue::Ended),
    ]
}
