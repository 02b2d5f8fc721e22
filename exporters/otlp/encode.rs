//! Batches -> OTLP messages, once, before the queue.

use tapetum_model::{Batch, OtlpSignal, Payload, Records, Signal};
use tapetum_otlp::{PointEncoder, SpanEncoder};
use tapetum_pipeline::{Encode, Encoded, Encoding, ServiceInfo};

use crate::agent;

/// Writes each kind of batch as the message that its service takes.
pub(super) struct Messages {
    spans: SpanEncoder,
    points: PointEncoder,
}

impl Messages {
    pub(super) fn new(service: &ServiceInfo, community_id: bool) -> Self {
        let agent = agent::of(service);
        Self {
            points: PointEncoder::new(&agent),
            spans: SpanEncoder::new(agent).with_community_id(community_id),
        }
    }
}

impl Encode for Messages {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let mut done = Encoding::default();
        match &batch.payload {
            Payload::Records(Records::Connections(rows)) => {
                let give = |message: tapetum_otlp::Message| {
                    into.push(Encoded {
                        signal: Signal::Traces,
                        items: message.items,
                        bytes: message.bytes,
                    });
                };
                done.filtered = self.spans.encode(rows, &batch.window, &batch.loss, give);
            }
            Payload::Points(points) => self.points.encode(points, |message| {
                into.push(Encoded {
                    signal: Signal::Metrics,
                    items: message.items,
                    bytes: message.bytes,
                });
            }),
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
