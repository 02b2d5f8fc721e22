//! A receiver that runs, what it hands over, and the requests that it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tapetum_model::{Attr, Batch, OtlpSignal, Payload, PointValue, UnixNanos, Value as Label};
use tapetum_pipeline::{Answer, Context, Outlet, Receiver as _, RunError, Stop};
use tapetum_testkit::{context, settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::Otlp;

/// No test waits longer for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the receiver handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) signal: OtlpSignal,
    pub(crate) items: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) peer: String,
}

/// A receiver that runs.
pub(crate) struct World {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) context: Context,
    taken: Arc<Mutex<Vec<Taken>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), RunError>>,
}

/// The defaults, and what a test says beside them.
pub(crate) fn file(more: &str) -> String {
    let own: toml::Table = more.parse().expect("a test's table");
    let mut table: toml::Table =
        "max_message = \"4MiB\"\nmax_connections = 128\nmax_streams = 100\nbuffer = \"16MiB\"\ntimeout = \"10s\"\nidle = \"5m\""
            .parse()
            .expect("the defaults");
    table.extend(own);
    table.to_string()
}

impl World {
    /// A receiver that takes everything.
    pub(crate) fn start(more: &str) -> Self {
        Self::answering(more, |_| Answer::Accepted)
    }

    /// A receiver whose batches are answered by `answer`; those that are accepted are kept.
    pub(crate) fn answering(
        more: &str,
        mut answer: impl FnMut(&Batch) -> Answer + Send + 'static,
    ) -> Self {
        let context = context("otlp");
        let config = settings(&file(more)).read().expect("a table that is right");
        let otlp = Otlp::new(config, context.clone()).expect("it listens");
        let doors = otlp.doors.iter();
        let addresses = doors.map(|(listener, _)| listener.address().expect("an address"));
        let addresses = addresses.collect();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&taken);
        let out = Outlet::to(move |batch| {
            let answer = answer(&batch);
            if answer == Answer::Accepted {
                let Payload::Otlp(otlp) = batch.payload else {
                    panic!("it is not OTLP");
                };
                keep.lock().unwrap().push(Taken {
                    signal: otlp.signal,
                    items: otlp.items,
                    bytes: otlp.bytes.contiguous().to_vec(),
                    peer: otlp.peer.expect("a peer").to_string(),
                });
            }
            answer
        });
        let (switch, stop) = Stop::channel();
        Self {
            addresses,
            context,
            taken,
            stop: switch,
            task: tokio::spawn(Box::new(otlp).run(out, stop)),
        }
    }

    /// What was handed over so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.send(true).expect("it runs");
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) -> Vec<Taken> {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended
            .expect("it stops")
            .expect("no panic")
            .expect("no error");
        Arc::try_unwrap(self.taken)
            .map(|taken| taken.into_inner().unwrap())
            .unwrap_or_else(|shared| shared.lock().unwrap().clone())
    }

    /// What its counter of this name says under a reason; of a gauge without one, its value.
    pub(crate) fn count(&self, metric: tapetum_model::Metric, reason: &str) -> f64 {
        let points = self.context.telemetry.points(UnixNanos(0), UnixNanos(0));
        let mut found = points.iter().filter(|point| {
            let label = (Attr::Reason, Label::Text(reason.into()));
            point.metric == metric && (reason.is_empty() || point.attributes.0.contains(&label))
        });
        match found.next().map(|point| &point.value) {
            Some(PointValue::Sum { cumulative, .. }) => *cumulative as f64,
            Some(PointValue::Gauge(value)) => *value,
            _ => 0.0,
        }
    }

    /// Waits until a counter says at least `n`.
    pub(crate) async fn counted(&self, metric: tapetum_model::Metric, reason: &str, n: f64) {
        let seen = async {
            while self.count(metric, reason) < n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        assert!(
            seen.is_ok(),
            "{metric:?} {reason} is {}",
            self.count(metric, reason)
        );
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

pub(crate) fn spans(n: usize) -> ExportTraceServiceRequest {
    let span = |at: usize| Span {
        trace_id: vec![at as u8 | 1; 16],
        span_id: vec![at as u8 | 1; 8],
        name: format!("GET /items/{at}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_000 + at as u64,
        attributes: vec![attribute("http.request.method", "GET")],
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..n).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

pub(crate) fn points(n: usize) -> ExportMetricsServiceRequest {
    let metric = Metric {
        name: "temperature".to_owned(),
        data: Some(Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint::default(); n],
        })),
        ..Metric::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

pub(crate) fn logs(n: usize) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![
                    LogRecord {
                        severity_text: "INFO".to_owned(),
                        ..LogRecord::default()
                    };
                    n
                ],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

/// A request of each signal, encoded, with its number of items.
pub(crate) fn requests() -> [(OtlpSignal, Vec<u8>, u64); 3] {
    [
        (OtlpSignal::Traces, spans(3).encode_to_vec(), 3),
        (OtlpSignal::Metrics, points(4).encode_to_vec(), 4),
        (OtlpSignal::Logs, logs(5).encode_to_vec(), 5),
    ]
}
