//! Batches -> OTLP messages, once, before the queue.

use tapetum_model::{Batch, OtlpSignal, Payload, Records, Signal};
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
            Payload::Otlp(otlp) => into.push(Encoded {
                signal: match otlp.signal {
                    OtlpSignal::Traces => Signal::Traces,
                    OtlpSignal::Metrics => Signal::Metrics,
                    OtlpSignal::Logs => Signal::Logs,
                },
                items: otlp.items,
                bytes: otlp.bytes.clone(),
            }),
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
    use tapetum_model::{Loss, Origin, Otlp, Window};
    use tapetum_testkit::{context, contract, sample};

    use super::super::compress::Compression;
    use super::super::config::{Protocol, Since};
    use super::*;

    #[test]
    fn every_kind_of_batch_becomes_its_message() {
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
        let mut encode = Messages::new(&context("otlp").service, &config);
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
}
