//! Sends spans and metrics to any OTLP server over gRPC.
//!
//! It promises: a message is sent as it was encoded, once compressed; what OTLP calls worth another
//! try is tried again and nothing else is; what the server refuses of a message is counted. gRPC is
//! five bytes and a few headers around HTTP/2, so it is written here on `h2` itself: no copy of a
//! message is made on the way to the socket.

mod answer;
mod call;
mod compress;
mod config;
mod encode;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use tapetum_model::Signal;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Encoded, Export, Exporter, Gives, Outcome, Settings,
};

use self::call::{Call, Channel};
use self::compress::Compression;
use self::config::Config;
use self::encode::Messages;

/// `otlp`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "otlp",
    summary: "sends spans and metrics to any OTLP server over gRPC",
    takes: &[
        Signal::Connections,
        Signal::Points,
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
    ],
    gives: Gives::Nothing,
    options: config::OPTIONS,
    metrics: &[],
    example: "endpoint = \"http://otel-collector.observability:4317\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Exporter(build),
};

/// Sends each message to the service of its signal.
struct Otlp {
    channel: Channel,
    compression: Compression,
    timeout: std::time::Duration,
}

fn build(settings: &Settings, context: &Context) -> Result<Exporter, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let authority = config::authority(&config.endpoint).map_err(BuildError::new)?;
    let headers = config::headers(&config).map_err(BuildError::new)?;
    let agent = format!("tapetum/{}", context.service.version);
    Ok(Exporter::Push {
        encode: Box::new(Messages::new(&context.service, &config)),
        export: Box::new(Otlp {
            channel: Channel::new(authority, headers, agent),
            compression: config.compression,
            timeout: config.timeout.0,
        }),
    })
}

#[async_trait]
impl Export for Otlp {
    async fn export(&mut self, message: Encoded) -> Outcome {
        match tokio::time::timeout(self.timeout, self.send(&message)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // Whatever the connection waits for, another one does not.
                self.channel.close();
                Outcome::Retryable {
                    after: None,
                    message: format!("no answer within {:?}", self.timeout).into(),
                }
            }
        }
    }
}

impl Otlp {
    /// Sends; where the server cannot read the compression it is sent again with a simpler one,
    /// which stays if it was that.
    async fn send(&mut self, message: &Encoded) -> Outcome {
        let mut compression = self.compression;
        loop {
            let answer = match self.call(message, compression).await {
                Ok(answer) => answer,
                Err(outcome) => return outcome,
            };
            match compression.instead() {
                Some(simpler) if answer.refuses(compression.name()) => compression = simpler,
                _ => {
                    let outcome = answer.outcome();
                    if compression != self.compression && matches!(outcome, Outcome::Ok { .. }) {
                        tracing::info!(
                            "the server does not take {}: requests go out as {} from now on",
                            self.compression.name(),
                            compression.name()
                        );
                        self.compression = compression;
                    }
                    return outcome;
                }
            }
        }
    }

    async fn call(
        &mut self,
        message: &Encoded,
        compression: Compression,
    ) -> Result<answer::Answer, Outcome> {
        let body = compression
            .compressed(&message.bytes)
            .await
            .map_err(|why| Outcome::Permanent {
                message: format!("cannot compress a message: {why}").into(),
            })?;
        let call = Call {
            signal: message.signal,
            body,
            encoding: compression.name(),
            timeout: self.timeout,
        };
        self.channel
            .call(call)
            .await
            .map_err(|why| Outcome::Retryable {
                after: None,
                message: why.to_string().into(),
            })
    }
}
