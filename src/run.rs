//! `tapetum run`: from a file to running pipelines, until a signal ends them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tapetum_exporters::prometheus;
use tapetum_otlp::Agent;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::End;
use crate::identity::Identity;
use crate::model::Payload;
use crate::pipeline::{Component, Engine, GraphSpec, Options};
use crate::terminal::Terminal;
use crate::{doctor, log, memory, validate};

/// The engine waits more than it works, and receivers that watch the kernel have threads of their
/// own. Two workers keep `/readyz` and the other exporters going while one compresses a message; more
/// would only bring more stacks and arenas.
const WORKERS: usize = 2;

pub(crate) fn run(
    files: &[PathBuf],
    components: &[&'static Component],
    terminal: &Terminal,
) -> anyhow::Result<End> {
    let Some(mut spec) = validate::read(files, components, terminal) else {
        return Ok(End::Wrong);
    };
    log::start()?;
    if watches_the_kernel(&spec)
        && let Some(sentence) = doctor::refusal()
    {
        anyhow::bail!(sentence);
    }
    let limit = memory::limit_bytes(Path::new("/proc"), Path::new("/sys/fs/cgroup"));
    if let Some(limit) = limit.filter(|limit| *limit < spec.service.memory_bytes) {
        info!(
            limit_bytes = limit,
            "the control group allows less memory than the file"
        );
        spec.service.memory_bytes = limit;
    }
    let runtime = runtime()?;
    let end = runtime.block_on(serve(spec));
    // Whatever still blocks a thread has had its time.
    runtime.shutdown_background();
    end
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start threads")
}

/// Whether a receiver needs what `doctor` looks at.
fn watches_the_kernel(spec: &GraphSpec) -> bool {
    spec.receivers
        .iter()
        .any(|receiver| receiver.component.name == tapetum_receivers::tcp::COMPONENT.name)
}

async fn serve(spec: GraphSpec) -> anyhow::Result<End> {
    let mut signals = Signals::new()?;
    let options = options(&spec);
    let running = Engine::start(spec, options).await?;
    // What reading the file and loading programs needed is not needed again.
    tapetum_probes::loader::release();
    tokio::select! {
        name = signals.next() => info!(signal = name, "is asked to stop"),
        () = running.finished() => info!("every receiver has come to its end"),
    }
    tokio::select! {
        report = running.stop() => {
            for (exporter, items) in &report.left {
                warn!(exporter, items, "was not sent in time");
            }
            Ok(End::Well)
        }
        name = signals.next() => anyhow::bail!("a second {name}: stopped at once, without a drain"),
    }
}

fn options(spec: &GraphSpec) -> Options {
    let identity = Identity::of(&spec.processors, Path::new("/"));
    let mut options = Options::new(identity.host, env!("CARGO_PKG_VERSION"));
    options.node = identity.node;
    options.instance = identity.instance;
    // `/metrics` speaks what the exporter of that name speaks.
    let agent = Agent {
        cluster: spec.service.cluster.as_str().into(),
        node: options.node.as_str().into(),
        host: options.host.as_str().into(),
        instance: options.instance.as_str().into(),
        version: options.version.into(),
    };
    options.render = Some(Arc::new(move |batches, accept| {
        let points = batches.iter().filter_map(|batch| match &batch.payload {
            Payload::Points(points) => Some(points.clone()),
            _ => None,
        });
        let points = points.flatten().collect();
        let accept = accept.unwrap_or_default();
        let (content_type, page) = prometheus::render(points, &agent, accept, false);
        (content_type.to_owned(), page)
    }));
    options
}

/// The two signals that ask for an end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
