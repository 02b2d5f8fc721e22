//! Metrics for Prometheus, and for everything that scrapes like it.
//!
//! It promises: a scrape shows everything that the pipelines had received before it, once; the labels
//! of a series are the same in every format, `le` too; a page is made while it is read, so no scraper
//! can hold more than points.

mod config;
mod negotiate;
mod page;
mod protobuf;
mod serve;
#[cfg(test)]
mod tests;
mod text;

use async_trait::async_trait;
use tapetum_model::Signal;
use tapetum_otlp::Agent;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Exporter, Gives, Listener, RunError, Scrape, Serve,
    Settings, Stop,
};

use self::config::Config;
use self::serve::Site;
use crate::agent;

pub use self::negotiate::Format;
pub use self::page::{Page, render};

/// `prometheus`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "prometheus",
    summary: "serves metrics at /metrics: text, OpenMetrics or protobuf with native histograms, as the scraper prefers",
    takes: &[Signal::Points],
    gives: Gives::Nothing,
    options: config::OPTIONS,
    metrics: &[],
    example: "listen = \"0.0.0.0:9464\"\ncreated = false\n",
    check: config::check,
    bound: config::bound,
    build: Build::Asked(build),
};

/// See the module. It listens from its build on: an address that is taken stops the start.
pub struct Prometheus {
    listener: Listener,
    agent: Agent,
    created: bool,
}

fn build(settings: &Settings, context: &Context) -> Result<Exporter, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Prometheus::new(&config, context).map(|server| Exporter::Pull(Box::new(server)))
}

impl Prometheus {
    fn new(config: &Config, context: &Context) -> Result<Self, BuildError> {
        let listen = |why| {
            let to = &config.listen;
            BuildError::new(format!(
                "cannot listen on {to}: {why}; choose another `listen` or stop who has it"
            ))
        };
        Ok(Self {
            listener: context.listen(&config.listen).map_err(listen)?,
            agent: agent::of(&context.service),
            created: config.created,
        })
    }
}

#[async_trait]
impl Serve for Prometheus {
    async fn run(self: Box<Self>, scrape: Scrape, stop: Stop) -> Result<(), RunError> {
        let listener = self
            .listener
            .tokio()
            .map_err(|why| RunError::new(format!("cannot serve metrics: {why}")))?;
        let site = Site::new(self.agent, self.created, scrape);
        serve::serve(listener, site, stop).await;
        Ok(())
    }
}
