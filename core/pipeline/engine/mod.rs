//! Makes a graph run: checked, built, started, watched over, drained.
//!
//! The start is a transaction: every component is made before the first one runs, so whatever cannot
//! be made leaves nothing behind. Exporters run before pipelines, pipelines before receivers; a stop
//! goes the way of the flow.

mod apply;
mod build;
mod chain;
mod export;
mod ledger;
mod look;
mod options;
mod owed;
mod parts;
mod pipeline;
mod readiness;
mod receipts;
mod reload;
mod running;
mod stop;
mod ward;
mod wire;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::info;

pub use options::{MemoryUsed, Options, Relieve, Render, StartError, TapLine};
pub use readiness::Readiness;
pub use reload::Reloaded;
pub use running::Running;
pub use stop::Report;

pub(crate) use pipeline::Change;
pub(crate) use running::State;

use crate::queue::check_folders;
use crate::{GraphSpec, Listeners, Memory, ServiceInfo, Size, Stop, Telemetry, admin};
use parts::Parts;
use running::Admin;

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
        check_folders(&*options.files, &spec)?;
        let lent = Lent {
            service: Arc::new(service_info(&spec, &options)),
            telemetry: Telemetry::default(),
            listeners: Listeners::default(),
            memory: Memory::default(),
            options,
            anew: false,
        };
        let service = spec.service.clone();
        let listener = listen(&service.admin).await?;
        budget(&spec)?;
        lent.memory.set_limit(service.memory_bytes);
        let plan = build::plan(spec, &lent, &Parts::default())?;
        let mut running = Running {
            state: Arc::new(State::new(&lent)),
            lent,
            service,
            parts: Parts::default(),
            cutting: watch::Sender::new(false),
            admin: None,
            alive: Arc::new(watch::Sender::new(0)),
            exporters_made: 0,
        };
        running.reloads_are_counted();
        let (memory, options) = (running.lent.memory.clone(), running.lent.options.clone());
        let gone = Stop(running.cutting.subscribe());
        tokio::spawn(look::look(memory, options, gone));
        // A start is a reload of nothing.
        running.apply(plan).await;
        running.serve_admin(listener);
        running.shown();
        Ok(running)
    }
}

/// What is the same for all components.
struct Lent {
    service: Arc<ServiceInfo>,
    telemetry: Telemetry,
    listeners: Listeners,
    memory: Memory,
    options: Options,
    /// Something of it differs from before: no component can be kept.
    anew: bool,
}

impl Running {
    fn serve_admin(&mut self, listener: Option<TcpListener>) {
        let before = self.admin.take();
        self.admin = listener.map(|listener| Admin {
            address: listener.local_addr().ok(),
            task: tokio::spawn(admin::serve(listener, Arc::clone(&self.state))),
        });
        if let Some(before) = before {
            before.task.abort();
        }
    }
}

fn service_info(spec: &GraphSpec, options: &Options) -> ServiceInfo {
    ServiceInfo {
        cluster: spec.service.cluster.clone(),
        data_dir: spec.service.data_dir.clone(),
        trace_key: spec.service.trace_key.clone(),
        node: options.node.clone(),
        host: options.host.clone(),
        instance: options.instance.clone(),
        version: options.version,
    }
}

async fn listen(address: &str) -> Result<Option<TcpListener>, StartError> {
    if address.is_empty() {
        return Ok(None);
    }
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(why) => Err(StartError::Admin {
            address: address.to_owned(),
            why,
        }),
    }
}

/// Refuses what does not fit, and says what the rest can take.
fn budget(spec: &GraphSpec) -> Result<(), StartError> {
    let budget = spec.budget();
    if let Some(sentence) = budget.excess(spec.service.memory_bytes) {
        return Err(StartError::Memory(sentence));
    }
    for line in &budget.lines {
        info!(what = %line.what, bytes = line.bytes(), "budget");
    }
    info!(
        total_bytes = budget.total_bytes(),
        memory = %Size(spec.service.memory_bytes),
        "the pipelines fit into the budget"
    );
    Ok(())
}
