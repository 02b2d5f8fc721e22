//! `tapetum run`: from a file to running pipelines, until a signal ends them.

use std::path::PathBuf;
use std::pin::pin;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use crate::End;
use crate::file::{Files, options};
use crate::pipeline::{Component, Engine, GraphSpec, Running};
use crate::terminal::Terminal;
use crate::watch::{self, Watch};
use crate::{doctor, log, validate};

/// The engine waits more than it works, and receivers that watch the kernel have threads of their
/// own. Two workers keep `/readyz` and the other exporters going while one compresses a message; more
/// would only bring more stacks and arenas.
const WORKERS: usize = 2;

/// The signal that asks to read the file again.
const REREAD: &str = "SIGHUP";

pub(crate) fn run(
    files: &[PathBuf],
    components: &[&'static Component],
    terminal: &Terminal,
) -> anyhow::Result<End> {
    if validate::read(files, components, terminal).is_none() {
        return Ok(End::Wrong);
    }
    log::start()?;
    // Once more, to know what to watch: what runs must be what was read then.
    let files = Files::new(files, components);
    let (spec, watch) = files.read();
    let spec = spec.map_err(anyhow::Error::msg)?;
    if watches_the_kernel(&spec)
        && let Some(sentence) = doctor::refusal()
    {
        anyhow::bail!(sentence);
    }
    let runtime = runtime()?;
    let end = runtime.block_on(serve(spec, &files, watch));
    // Whatever still blocks a thread has had its time.
    runtime.shutdown_background();
    end
}

/// Two on one core would only take it from each other: a compressor has a thread of its own anyway.
fn workers() -> usize {
    let cores = std::thread::available_parallelism();
    cores.map_or(WORKERS, |cores| cores.get().min(WORKERS))
}

fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers())
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

async fn serve(spec: GraphSpec, files: &Files<'_>, mut watch: Watch) -> anyhow::Result<End> {
    let mut signals = Signals::new()?;
    let options = options(&spec);
    let mut running = Engine::start(spec, options).await?;
    // What reading the file and loading programs needed is not needed again.
    tapetum_probes::loader::release();
    let mut looks = tokio::time::interval(watch::EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            name = signals.next() => match name {
                REREAD => info!(signal = name, "is asked to read the file again"),
                _ => {
                    info!(signal = name, "is asked to stop");
                    break;
                }
            },
            () = running.finished() => {
                info!("every receiver has come to its end");
                break;
            }
            _ = looks.tick() => {
                if !watch.look() {
                    continue;
                }
                info!("the file has changed");
            }
        }
        watch = reload(&mut running, files).await;
        tapetum_probes::loader::release();
    }
    stop(running, &mut signals).await
}

async fn stop(running: Running, signals: &mut Signals) -> anyhow::Result<End> {
    let mut stopping = pin!(running.stop());
    loop {
        tokio::select! {
            report = &mut stopping => {
                for (exporter, items) in &report.left {
                    warn!(exporter, items, "was not sent in time");
                }
                return Ok(End::Well);
            }
            name = signals.next() => if name != REREAD {
                anyhow::bail!("a second {name}: stopped at once, without a drain");
            }
        }
    }
}

/// Brings the pipelines to what the file says now; where that cannot be, it is said and nothing changes.
async fn reload(running: &mut Running, files: &Files<'_>) -> Watch {
    let (spec, watch) = files.read();
    match spec {
        Ok(spec) => {
            let options = options(&spec);
            // Why not has been said.
            let _ = running.reload(spec, options).await;
        }
        Err(why) => running.refuse(&why),
    }
    watch
}

/// The two signals that ask for an end, and the one that asks to read the file again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => REREAD,
        }
    }
}
