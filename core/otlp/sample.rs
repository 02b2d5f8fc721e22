//! Requests of every shape that OTLP allows, for tests: the same for the same seed.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use tapetum_model::OtlpSignal;
use tapetum_testkit::Random;

/// An encoded request.
pub(crate) fn request(signal: OtlpSignal, seed: u64) -> Vec<u8> {
    let mut any = Any(Random::new(seed));
    match signal {
        OtlpSignal::Traces => any.traces().encode_to_vec(),
        OtlpSignal::Metrics => any.metrics().encode_to_vec(),
        OtlpSignal::Logs => any.logs().encode_to_vec(),
    }
}

pub(crate) struct Any(pub(crate) Random);

impl Any {
    fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }

    /// Up to `most` of something.
    fn some<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    fn number(&mut self) -> u64 {
        let bits = self.below(64);
        self.0.number() >> bits
    }

    fn float(&mut self) -> f64 {
        let whole = self.below(1 << 20) as f64 / 8.0;
        [0.0, -1.5, 1e300, whole, -whole][self.below(5) as usize]
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 6] = ["", "GET", "naïve ✓ 🦀", "http.route", "/", "\"\\\n\u{1}"];
        let text = TEXTS[self.below(6) as usize];
        text.repeat(1 + (self.below(40) / 39) as usize * 60)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.0.number() as u8).collect()
    }

    /// An id of so many bytes, or none.
    fn id(&mut self, length: u64) -> Vec<u8> {
        let length = length * u64::from(self.below(4) > 0);
        self.bytes(length)
    }

    fn value(&mut self, depth: u32) -> AnyValue {
        let value = match self.below(if depth > 3 { 6 } else { 8 }) {
            0 => None,
            1 => Some(Value::StringValue(self.text())),
            2 => Some(Value::BoolValue(self.below(2) == 0)),
            3 => Some(Value::IntValue(self.number() as i64)),
            4 => Some(Value::DoubleValue(self.float())),
            5 => {
                let length = self.below(9);
                Some(Value::BytesValue(self.bytes(length)))
            }
            6 => Some(Value::ArrayValue(ArrayValue {
                values: self.some(3, |any| any.value(depth + 1)),
            })),
            _ => Some(Value::KvlistValue(KeyValueList {
                values: self.some(3, |any| any.attribute(depth + 1)),
            })),
        };
        AnyValue { value }
    }

    fn attribute(&mut self, depth: u32) -> KeyValue {
        KeyValue {
            key: self.text(),
            value: self.maybe(|any| any.value(depth)),
            ..KeyValue::default()
        }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.some(3, |any| any.attribute(0))
    }

    fn resource(&mut self) -> Option<Resource> {
        self.maybe(|any| Resource {
            attributes: any.attributes(),
            dropped_attributes_count: any.number() as u32,
            entity_refs: any.some(1, |any| EntityRef {
                schema_url: any.text(),
                r#type: any.text(),
                id_keys: any.some(2, Self::text),
                description_keys: any.some(2, Self::text),
            }),
        })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        self.maybe(|any| InstrumentationScope {
            name: any.text(),
            version: any.text(),
            attributes: any.attributes(),
            dropped_attributes_count: any.number() as u32,
        })
    }

    pub(crate) fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.some(2, |any| ResourceSpans {
            resource: any.resource(),
            scope_spans: any.some(2, |any| ScopeSpans {
                scope: any.scope(),
                spans: any.some(3, Self::span),
                schema_url: any.text(),
            }),
            schema_url: any.text(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.id(8),
            flags: self.number() as u32,
            name: self.text(),
            kind: self.below(7) as i32,
            start_time_unix_nano: self.number(),
            end_time_unix_nano: self.number(),
            attributes: self.attributes(),
            dropped_attributes_count: self.number() as u32,
            events: self.some(2, |any| Event {
                time_unix_nano: any.number(),
                name: any.text(),
                attributes: any.attributes(),
                dropped_attributes_count: any.number() as u32,
            }),
            dropped_events_count: self.number() as u32,
            links: self.some(2, |any| Link {
                trace_id: any.id(16),
                span_id: any.id(8),
                trace_state: any.text(),
                attributes: any.attributes(),
                dropped_attributes_count: any.number() as u32,
                flags: any.number() as u32,
            }),
            dropped_links_count: self.number() as u32,
            status: self.maybe(|any| Status {
                message: any.text(),
                code: any.below(4) as i32,
            }),
        }
    }

    pub(crate) fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.some(2, |any| ResourceLogs {
            resource: any.resource(),
            scope_logs: any.some(2, |any| ScopeLogs {
                scope: any.scope(),
                log_records: any.some(3, Self::log),
                schema_url: any.text(),
            }),
            schema_url: any.text(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.number(),
            observed_time_unix_nano: self.number(),
            severity_number: self.below(26) as i32,
            severity_text: self.text(),
            body: self.maybe(|any| any.value(0)),
            attributes: self.attributes(),
            dropped_attributes_count: self.number() as u32,
            flags: self.number() as u32,
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.text(),
        }
    }

    pub(crate) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.some(2, |any| ResourceMetrics {
            resource: any.resource(),
            scope_metrics: any.some(2, |any| ScopeMetrics {
                scope: any.scope(),
                metrics: any.some(3, Self::metric),
                schema_url: any.text(),
            }),
            schema_url: any.text(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&mut self) -> Metric {
        let aggregation_temporality = self.below(4) as i32;
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge {
                data_points: self.some(3, Self::number_point),
            })),
            2 => Some(Data::Sum(Sum {
                data_points: self.some(3, Self::number_point),
                aggregation_temporality,
                is_monotonic: self.below(2) == 0,
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.some(3, Self::histogram_point),
                aggregation_temporality,
            })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.some(3, Self::exponential_point),
                aggregation_temporality,
            })),
            _ => Some(Data::Summary(Summary {
                data_points: self.some(3, Self::summary_point),
            })),
        };
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(),
            data,
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            exemplars: self.some(2, Self::exemplar),
            flags: self.below(2) as u32,
            value: self.maybe(|any| match any.below(2) {
                0 => number_data_point::Value::AsInt(any.number() as i64),
                _ => number_data_point::Value::AsDouble(any.float()),
            }),
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.maybe(Self::float),
            bucket_counts: self.some(4, Self::number),
            explicit_bounds: self.some(3, Self::float),
            exemplars: self.some(2, Self::exemplar),
            flags: self.below(2) as u32,
            min: self.maybe(Self::float),
            max: self.maybe(Self::float),
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.maybe(Self::float),
            scale: self.below(21) as i32 - 10,
            zero_count: self.number(),
            positive: self.maybe(Self::buckets),
            negative: self.maybe(Self::buckets),
            flags: self.below(2) as u32,
            exemplars: self.some(2, Self::exemplar),
            min: self.maybe(Self::float),
            max: self.maybe(Self::float),
            zero_threshold: self.float(),
        }
    }

    fn buckets(&mut self) -> Buckets {
        Buckets {
            offset: self.below(200) as i32 - 100,
            bucket_counts: self.some(5, Self::number),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.float(),
            quantile_values: self.some(2, |any| ValueAtQuantile {
                quantile: any.float(),
                value: any.float(),
            }),
            flags: self.below(2) as u32,
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.number(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: self.maybe(|any| match any.below(2) {
                0 => exemplar::Value::AsInt(any.number() as i64),
                _ => exemplar::Value::AsDouble(any.float()),
            }),
        }
    }
}
