//! Writes OTLP as JSON, a message a line: to keep, to read with any tool, to replay.
//!
//! It promises: a line is whole or absent, as OTLP's JSON encoding says it; the files together never
//! take more than `(keep + 1) × max_size`, or one line if that is longer; a full disk is waited out
//! and said.

mod append;
mod config;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tapetum_model::{Batch, Payload, Records, Signal};
use tapetum_otlp::Lines;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Encode, Encoded, Encoding, Export, Exporter, Gives,
    Outcome, Settings,
};

use self::append::{Place, Rotating};
use self::config::Config;
use crate::agent;

/// `file`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "file",
    summary: "writes spans and metrics as OTLP/JSON lines to a bounded file, or to standard output",
    takes: &[Signal::Connections, Signal::Points],
    gives: Gives::Nothing,
    options: config::OPTIONS,
    metrics: &[],
    example: "path = \"/var/log/tapetum/connections.jsonl\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Exporter(build),
};

/// Batches -> lines.
struct Json(Lines);

/// Lines -> the file.
struct Keep(Arc<Mutex<Place>>);

fn build(settings: &Settings, context: &Context) -> Result<Exporter, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let place = if config.is_standard_output() {
        Place::Stream(Box::new(io::stdout()))
    } else {
        let mut file = Rotating::new(config.path, config.max_size.0, config.keep);
        match file.prepare() {
            // A disk that is full may have room again.
            Err(why) if !is_full(&why) => return Err(BuildError::new(explained(&why, &file))),
            _ => Place::File(file),
        }
    };
    let lines = Lines::new(agent::of(&context.service));
    Ok(Exporter::Push {
        encode: Box::new(Json(lines.with_community_id(config.community_id))),
        export: Box::new(Keep(Arc::new(Mutex::new(place)))),
    })
}

impl Encode for Json {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let mut done = Encoding::default();
        let give = |items, line: Vec<u8>| {
            into.push(Encoded {
                signal: batch.signal(),
                items,
                bytes: line.into(),
            });
        };
        match &batch.payload {
            Payload::Records(Records::Connections(rows)) => {
                done.filtered = self.0.spans(rows, &batch.window, &batch.loss, give);
            }
            Payload::Points(points) => self.0.points(points, give),
            Payload::Otlp(otlp) => done.rejected = otlp.items,
        }
        done
    }
}

#[async_trait]
impl Export for Keep {
    async fn export(&mut self, message: Encoded) -> Outcome {
        let place = Arc::clone(&self.0);
        // A disk may make a thread wait: one that nobody else needs.
        let written = tokio::task::spawn_blocking(move || {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place
                .append(&message.bytes.contiguous())
                .map_err(|why| match &*place {
                    Place::Stream(_) => Outcome::Permanent {
                        message: format!("cannot write to standard output: {why}").into(),
                    },
                    Place::File(file) => Outcome::Retryable {
                        after: None,
                        message: explained(&why, file).into(),
                    },
                })
        });
        match written.await {
            Ok(Ok(())) => Outcome::Ok {
                rejected: 0,
                message: None,
            },
            Ok(Err(failed)) => failed,
            Err(why) => Outcome::Permanent {
                message: format!("writing failed: {why}").into(),
            },
        }
    }
}

fn is_full(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn explained(why: &io::Error, file: &Rotating) -> String {
    let path = file.path().display();
    if is_full(why) {
        format!("the disk of {path} is full: make room, or lower `max_size` or `keep` ({why})")
    } else {
        format!("cannot write {path}: {why}; see that its folder exists and may be written to")
    }
}
