//! Names the ends of records that the receiver could not name: by node, by network.
//!
//! It promises: a name that the receiver gave stays; nothing is guessed; what it remembers is bounded.
//! Each row passes the same steps: ends of this host get their node, far ends that nobody named get
//! the name of their network. An index of the cluster's objects goes between the two.

mod config;
mod networks;
mod place;
#[cfg(test)]
mod tests;

use std::sync::Once;
use std::time::Duration;

use tapetum_model::{Batch, End, Payload, Rows, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Flush, Gives, Now, Output, Processor, Settings,
};

use self::config::{Config, Scope};
use self::networks::{Cidr, Networks};
use self::place::Places;

/// `k8s`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "k8s",
    summary: "names ends: the node of those on this host, the network of those outside",
    takes: &[Signal::Connections],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "node = \"node-1\"\nscope = \"cluster\"\nnetworks = { \"203.0.113.0/24\" = \"payments-provider\" }\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// How often entities that nobody uses any more are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What tells that a cluster is near: the kubelet sets the first in every pod, a person the second.
const CLUSTER_HINTS: [&str; 2] = ["KUBERNETES_SERVICE_HOST", "KUBECONFIG"];

/// See the module.
pub struct K8s {
    places: Places,
    networks: Networks,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    // Every pipeline has its own instance; a process says it once.
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        say(
            cluster_is_near(|name| std::env::var_os(name).is_some()),
            &config,
        )
    });
    K8s::new(&config).map(|named| Box::new(named) as Box<dyn Processor>)
}

fn cluster_is_near(is_set: impl Fn(&str) -> bool) -> bool {
    CLUSTER_HINTS.iter().any(|name| is_set(name))
}

fn say(near: bool, config: &Config) {
    let scope = match config.scope {
        Scope::Cluster => "cluster",
        Scope::Node => "node",
    };
    if near {
        tracing::info!(
            scope,
            node = config.node,
            "a cluster is near, but this version does not ask it: pods, Services and workloads keep the names that this host gives"
        );
    } else {
        tracing::info!(
            scope,
            node = config.node,
            "no cluster is near ({} are not set): ends keep the names that this host gives",
            CLUSTER_HINTS.join(" and ")
        );
    }
}

impl K8s {
    fn new(config: &Config) -> Result<Self, BuildError> {
        let mut networks = Vec::new();
        for (cidr, name) in &config.networks {
            let cidr = Cidr::parse(cidr).map_err(|why| BuildError::new(why.to_string()))?;
            networks.push((cidr, name.clone()));
        }
        Ok(Self {
            places: Places::new(&config.node),
            networks: Networks::new(networks),
        })
    }

    fn name(&mut self, rows: &mut dyn Rows, row: usize) {
        let (near, far) = rows.ends_mut(row);
        self.place(near);
        self.place(far);
        if far.entity.is_none() {
            far.entity = self.networks.name(far.address.ip()).cloned();
        }
    }

    /// An end that the receiver named lives on this host: it knows no other.
    fn place(&mut self, end: &mut End) {
        if let Some(entity) = &mut end.entity {
            self.places.place(entity);
        }
    }
}

impl Processor for K8s {
    fn process(&mut self, mut batch: Batch, _: Now, out: &mut Output) {
        if let Payload::Records(records) = &mut batch.payload {
            let rows = records.as_rows_mut();
            for row in 0..rows.rows() {
                self.name(rows, row);
            }
        }
        out.send(batch);
    }

    fn flush(&mut self, why: Flush, _: Now, _: &mut Output) {
        if why == Flush::Timer {
            self.places.forget();
        }
    }

    fn flush_every(&self) -> Option<Duration> {
        Some(FORGET_EVERY)
    }
}
