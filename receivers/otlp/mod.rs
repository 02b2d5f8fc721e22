//! Takes OTLP from everyone who sends it: traces, metrics and logs over gRPC and over HTTP.
//!
//! It promises: what it acknowledges every exporter's queue has taken, and what a queue has no room for is
//! refused with the time to come back; what passes is OTLP and leaves byte for byte as it came. Bytes are
//! looked through, never decoded. Whatever a sender does, memory is bounded: connections, streams, bodies that are being
//! received, messages before and after they are decompressed, and the time that each may take.
//!
//! `listen.rs` accepts, `http2.rs` and `http1.rs` speak the transport, `grpc.rs` and `http.rs` the two ways
//! of OTLP over it, and `intake.rs` is where both hand over.

mod body;
mod budget;
mod config;
mod decompress;
mod grpc;
mod http;
mod http1;
mod http2;
mod intake;
mod listen;
mod refusal;
mod status;
mod stream;
mod telemetry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tapetum_model::Signal;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Gives, Listener, Outlet, Receiver, RunError, Settings,
    Stop,
};
use tapetum_tls::{Server, alpn};
use tracing::info;

use self::config::Config;
use self::intake::Intake;
use self::listen::{Door, Speaks};

/// `otlp`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "otlp",
    summary: "takes traces, metrics and logs from OpenTelemetry SDKs, Collectors and other agents",
    takes: &[],
    gives: Gives::These(&[Signal::Traces, Signal::Metrics, Signal::Logs]),
    options: config::OPTIONS,
    metrics: telemetry::METRICS,
    example: "grpc = \"0.0.0.0:4317\"\nhttp = \"0.0.0.0:4318\"\n",
    check: config::check,
    bound: config::bound,
    build: Build::Receiver(build),
};

/// See the module. It listens from its build on: an address that is taken stops the start.
struct Otlp {
    doors: Vec<(Listener, Speaks)>,
    tls: Option<Arc<Server>>,
    config: Config,
    context: Context,
}

fn build(settings: &Settings, context: &Context) -> Result<Box<dyn Receiver>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Otlp::new(config, context.clone()).map(|otlp| Box::new(otlp) as Box<dyn Receiver>)
}

impl Otlp {
    fn new(config: Config, context: Context) -> Result<Self, BuildError> {
        let protocols = [alpn::H2, alpn::HTTP1];
        let tls = config.tls.as_ref().map(|tls| Server::open(tls, &protocols));
        let tls = tls
            .transpose()
            .map_err(|why| BuildError::new(why.to_string()))?;
        let mut doors = Vec::new();
        for (address, speaks) in config.doors() {
            let listener = context.listen(address).map_err(|why| {
                BuildError::new(format!(
                    "cannot listen on {address}: {why}; choose another address or stop who has it"
                ))
            })?;
            doors.push((listener, speaks));
        }
        Ok(Self {
            doors,
            tls: tls.map(Arc::new),
            config,
            context,
        })
    }
}

#[async_trait]
impl Receiver for Otlp {
    async fn run(self: Box<Self>, out: Outlet, stop: Stop) -> Result<(), RunError> {
        let intake = Arc::new(Intake::new(&self.config, &self.context, out));
        let mut doors = Vec::new();
        for (listener, speaks) in &self.doors {
            let socket = listener
                .tokio()
                .map_err(|why| RunError::new(format!("cannot accept connections: {why}")))?;
            if let Ok(address) = listener.address() {
                info!(%address, takes = speaks.name(), "listens");
            }
            doors.push(Door {
                socket,
                speaks: *speaks,
            });
        }
        let limits = self.config.limits();
        let tls = (self.tls.clone(), self.context.health.clone());
        listen::serve(doors, tls, limits, intake, stop).await;
        Ok(())
    }
}
