//! Batches -> OTLP messages, once, before the queue.

use tapetum_model::{Batch, Loss, Otlp, OtlpSignal, Payload, Records, Signal, Window};
use tapetum_otlp::{PointEncoder, SpanEncoder};
use tapetum_pipeline::{Encode, Encoded, Encoding, ServiceInfo};

use super::config::{As, Config};
use crate::agent;

/// Writes each kind of batch as the message that its service takes.
pub(super) struct Messages {
    spans: SpanEncoder,
    /// What the spans are to whoever takes them.
    signal: Signal,
    points: PointEncoder,
}

impl Messages {
    pub(super) fn new(service: &ServiceInfo, config: &Config) -> Self {
        let agent = agent::of(service);
        Self {
            points: PointEncoder::new(&agent).with_temporality(config.temporality.into()),
            spans: SpanEncoder::new(agent)
                .with_form(config.r#as.into())
                .with_community_id(config.community_id),
            signal: match config.r#as {
                As::Span => Signal::Traces,
                As::Log => Signal::Logs,
            },
        }
    }
}

impl Messages {
    /// What came in leaves as it came. Where something was lost on the way here that is said behind it, under a
    /// resource and scope of our own; of metrics it is not, since their scope is a part of what they are.
    fn foreign(&mut self, otlp: &Otlp, window: &Window, loss: &Loss) -> Encoded {
        let signal = match otlp.signal {
            OtlpSignal::Traces => Signal::Traces,
            OtlpSignal::Metrics => Signal::Metrics,
            OtlpSignal::Logs => Signal::Logs,
        };
        let mut bytes = otlp.bytes.clone();
        if *loss != Loss::default() && otlp.signal != OtlpSignal::Metrics {
            bytes.push(self.spans.completeness(window, loss));
        }
        Encoded {
            signal,
            items: otlp.items,
            bytes,
        }
    }
}

impl Encode for Messages {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let mut done = Encoding::default();
        match &batch.payload {
            Payload::Records(Records::Connections(rows)) => {
                let signal = self.signal;
                let give = |message: tapetum_otlp::Message| {
                    into.push(Encoded {
                        signal,
                        items: message.items,
                        bytes: message.bytes.into(),
                    });
                };
                done.filtered = self.spans.encode(rows, &batch.window, &batch.loss, give);
            }
            Payload::Points(points) => {
                let give = |message: tapetum_otlp::Message| {
                    into.push(Encoded {
                        signal: Signal::Metrics,
                        items: message.items,
                        bytes: message.bytes.into(),
                    });
                };
                done.filtered = self.points.encode(points, give);
            }
            Payload::Otlp(otlp) => into.push(self.foreign(otlp, &batch.window, &batch.loss)),
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    use tapetum_model::Origin;
    use tapetum_testkit::{context, contract, sample};

    use super::super::compress::Compression;
    use super::super::config::{Protocol, Since};
    use super::*;

    fn messages() -> Messages {
        let config = Config {
            endpoint: "http://collector".to_owned(),
            protocol: Protocol::Grpc,
            tls: None,
            r#as: As::Span,
            compression: Compression::Gzip,
            headers: BTreeMap::new(),
            timeout: tapetum_pipeline::Duration(std::time::Duration::from_secs(1)),
            community_id: true,
            temporality: Since::Cumulative,
        };
        Messages::new(&context("otlp").service, &config)
    }

    #[test]
    fn every_kind_of_batch_becomes_its_message() {
        let mut encode = messages();
        let (messages, said) = contract::encode(&mut encode, &sample::connections(64));
        assert_eq!((messages.len(), said.filtered, said.rejected), (1, 4, 0));
        assert_eq!(
            (messages[0].signal, messages[0].items),
            (Signal::Traces, 60)
        );
        let request = ExportTraceServiceRequest::decode(messages[0].bytes.contiguous()).unwrap();
        let debug = format!("{request:?}");
        for said in ["test-cluster", "0.0.0", "flow.community_id"] {
            assert!(debug.contains(said), "{said}");
        }
        let foreign = Batch {
            payload: Payload::Otlp(Otlp {
                signal: OtlpSignal::Logs,
                items: 9,
                bytes: Bytes::from_static(b"as it came").into(),
                peer: None,
            }),
            window: Window::default(),
            loss: Loss::default(),
            origin: Origin::Peer,
        };
        let (messages, _) = contract::encode(&mut encode, &foreign);
        assert_eq!(
            (messages[0].signal, &messages[0].bytes.contiguous()[..]),
            (Signal::Logs, &b"as it came"[..])
        );
    }

    #[test]
    fn what_was_lost_of_others_is_said_behind_it() {
        let mut encode = messages();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![Default::default()],
        };
        let foreign = |signal, queue| Batch {
            payload: Payload::Otlp(Otlp {
                signal,
                items: 0,
                bytes: request.encode_to_vec().into(),
                peer: None,
            }),
            window: Window {
                start: tapetum_model::UnixNanos(5),
                end: tapetum_model::UnixNanos(9),
            },
            loss: Loss {
                queue,
                ..Loss::default()
            },
            origin: Origin::Peer,
        };
        let mut said = |signal, queue| {
            let (messages, _) = contract::encode(&mut encode, &foreign(signal, queue));
            let bytes = messages[0].bytes.contiguous();
            ExportTraceServiceRequest::decode(bytes)
                .unwrap()
                .resource_spans
        };
        for (signal, queue) in [
            (OtlpSignal::Traces, 0),
            (OtlpSignal::Logs, 0),
            (OtlpSignal::Metrics, 7),
        ] {
            assert_eq!(said(signal, queue), request.resource_spans, "{signal:?}");
        }
        for signal in [OtlpSignal::Traces, OtlpSignal::Logs] {
            let said = said(signal, 7);
            assert_eq!((said.len(), &said[0]), (2, &request.resource_spans[0]));
            let scope = &said[1].scope_spans[0];
            assert!(scope.spans.is_empty());
            let words = format!("{scope:?}");
            for word in [
                "tapetum.window.start",
                "tapetum.window.lost.queue",
                "IntValue(7)",
            ] {
                assert!(words.contains(word), "{word}: {words}");
            }
        }
    }
}
