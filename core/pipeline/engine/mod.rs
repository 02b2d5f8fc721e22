//! Makes a graph run: checked, built, started, watched over, drained.
//!
//! The start is a transaction: every component is made before the first one runs, so whatever cannot
//! be made leaves nothing behind. Exporters run before pipelines, pipelines before receivers; a stop
//! goes the way of the flow.

mod build;
mod chain;
mod export;
mod options;
mod owed;
mod pipeline;
mod readiness;
mod running;
mod stop;
mod ward;
mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::info;

pub use options::{Options, Render, StartError};
pub use readiness::Readiness;
pub use running::Running;
pub use stop::Report;

pub(crate) use running::State;

use crate::{GraphSpec, Listeners, ServiceInfo, Size, Telemetry};

/// Starts graphs.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Checks, builds and starts a graph. Nothing of it runs if that fails.
    ///
    /// # Errors
    /// Every problem of the graph; or the first component that cannot be made, the admin address
    /// that cannot be listened on, the budget that is exceeded.
    pub async fn start(spec: GraphSpec, options: Options) -> Result<Running, StartError> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(StartError::Graph(problems));
        }
        let budget = spec.budget();
        let lent = Lent {
            service: Arc::new(ServiceInfo {
                cluster: spec.service.cluster.clone(),
                data_dir: spec.service.data_dir.clone(),
                trace_key: spec.service.trace_key.clone(),
                node: options.node.clone(),
                host: options.host.clone(),
                instance: options.instance.clone(),
                version: options.version,
            }),
            telemetry: Telemetry::default(),
            listeners: Listeners::default(),
            options,
        };
        let service = spec.service.clone();
        let listener = match &*service.admin {
            "" => None,
            address => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|why| StartError::Admin {
                    address: address.to_owned(),
                    why,
                })?)
            }
        };
        if let Some(sentence) = budget.excess(service.memory_bytes) {
            return Err(StartError::Memory(sentence));
        }
        for line in &budget.lines {
            info!(what = %line.what, bytes = line.bytes(), "budget");
        }
        info!(
            total_bytes = budget.total_bytes(),
            memory = %Size(service.memory_bytes),
            "the pipelines fit into the budget"
        );
        let built = build::build(spec, &lent)?;
        Ok(wire::wire(built, lent, &service, listener))
    }
}

/// What is the same for all components.
struct Lent {
    service: Arc<ServiceInfo>,
    telemetry: Telemetry,
    listeners: Listeners,
    options: Options,
}
