//! Sends spans, metrics and log records to any OTLP server, over gRPC or HTTP.
//!
//! It promises: a message is sent as it was encoded, once compressed; what OTLP calls worth another
//! try is tried again and nothing else is; what the server refuses of a message is counted; certificates
//! and tokens are read again when their files change. gRPC is five bytes and a few headers around HTTP/2,
//! so it is written here on `h2` itself: no copy of a message is made on the way to the socket.

mod call;
mod compress;
mod config;
mod connect;
mod encode;
mod endpoint;
mod grpc;
mod headers;
mod http1;
#[cfg(test)]
mod secure_tests;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tapetum_model::Signal;
use tapetum_pipeline::{
    Build, BuildError, Clock, Component, Context, Encoded, Export, Exporter, Gives, Outcome,
    Settings,
};

use tapetum_tls::{Client, alpn};

use self::call::{Answer, Call, Channel};
use self::compress::Compression;
use self::config::{Config, Protocol};
use self::connect::Connector;
use self::encode::Messages;
use self::endpoint::Endpoint;
use self::headers::Headers;

/// `otlp`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "otlp",
    summary: "sends spans, metrics and log records to any OTLP server, over gRPC or HTTP",
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

/// Sends each message to where its signal belongs.
struct Otlp {
    channel: Channel,
    headers: Headers,
    compression: Compression,
    timeout: std::time::Duration,
    clock: Arc<dyn Clock>,
}

fn build(settings: &Settings, context: &Context) -> Result<Exporter, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let headers = Headers::of(&config, settings).map_err(BuildError::new)?;
    let connector = connector(&config)?;
    let agent = format!("tapetum/{}", context.service.version);
    let channel = match config.protocol {
        Protocol::Grpc => Channel::Grpc(grpc::Channel::new(connector, agent)),
        Protocol::Http => Channel::Http(http1::Channel::new(connector, agent)),
    };
    Ok(Exporter::Push {
        encode: Box::new(Messages::new(&context.service, &config)),
        export: Box::new(Otlp {
            channel,
            headers,
            compression: config.compression,
            timeout: config.timeout.0,
            clock: Arc::clone(&context.clock),
        }),
    })
}

/// Reads certificates and keys too, where the endpoint is https.
fn connector(config: &Config) -> Result<Connector, BuildError> {
    let endpoint = Endpoint::parse(&config.endpoint, config.protocol).map_err(BuildError::new)?;
    let spoken = match config.protocol {
        Protocol::Grpc => alpn::H2,
        Protocol::Http => alpn::HTTP1,
    };
    let tls = match endpoint.is_secure {
        true => {
            let wanted = config.tls.clone().unwrap_or_default();
            let opened = Client::open(&wanted, &[spoken]);
            Some(opened.map_err(|why| BuildError::new(why.to_string()))?)
        }
        false => None,
    };
    Ok(Connector { endpoint, tls })
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
    /// which stays if it was that; where it does not know us any more, with a token that was replaced.
    async fn send(&mut self, message: &Encoded) -> Outcome {
        let mut compression = self.compression;
        let mut is_renewed = false;
        loop {
            let answer = match self.call(message, compression).await {
                Ok(answer) => answer,
                Err(outcome) => return outcome,
            };
            match compression.instead() {
                Some(simpler) if answer.refuses(compression.name()) => {
                    compression = simpler;
                    continue;
                }
                _ => {}
            }
            let now = self.clock.now();
            if answer.is_unauthenticated() && !is_renewed && self.headers.renew(now.monotonic) {
                is_renewed = true;
                continue;
            }
            let outcome = answer.outcome(now.unix);
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

    async fn call(
        &mut self,
        message: &Encoded,
        compression: Compression,
    ) -> Result<Answer, Outcome> {
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
            headers: self.headers.at(self.clock.now().monotonic),
        };
        self.channel
            .call(&call)
            .await
            .map_err(|why| Outcome::Retryable {
                after: None,
                message: why.into(),
            })
    }
}
