//! Every TCP connection of this kernel, from its birth to its close, with the names of its ends.
//!
//! It promises: each connection is told exactly once at its birth and once at its close, at each of its
//! ends; its bytes are in the rows exactly once, whatever was lost on the way is counted, and found by
//! the next sweep. What a connection is called in a trace follows from the connection alone (`ids.rs`).
//!
//! One thread of its own holds the probe and the table of connections (`watch.rs`); kernel rows go
//! through the table (`table.rs`) and leave it as connection rows (`row.rs`) in batches of bounded size.

mod clock;
mod config;
mod exclude;
mod ids;
mod listeners;
mod row;
mod table;
mod telemetry;
#[cfg(test)]
mod tests;
mod tracked;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use async_trait::async_trait;
use tapetum_model::{Batch, Signal};
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Gives, Outlet, Pressure, Receiver, RunError, Settings,
    Stop,
};
use tokio::sync::mpsc;

use self::config::Config;
use self::watch::{BATCHES_MAX, Watch};

/// `tcp`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "tcp",
    summary: "watches every TCP connection of this kernel from birth to close, without a cost per packet",
    takes: &[],
    gives: Gives::These(&[Signal::Connections]),
    options: config::OPTIONS,
    metrics: &[
        "tapetum.connections.tracked",
        "tapetum.sweep.duration",
        "tapetum.records.lost",
        "tapetum.records.filtered",
        "tapetum.probe.runs",
        "tapetum.probe.run_time",
    ],
    example: "sweep = \"10s\"\ninterval = \"60s\"\nmax_connections = 65_536\nexclude = [\"self\", \"kubelet-probes\", \"loopback\"]\n",
    check: config::check,
    bound: config::bound,
    build: Build::Receiver(build),
};

/// See the module.
struct Tcp {
    watch: Watch,
}

/// What the task says to the thread; dropped with the task, it is the word to stop.
#[derive(Debug, Default)]
struct Word {
    stop: AtomicBool,
    pressure: AtomicU8,
}

struct StopWithTask(Arc<Word>);

fn build(settings: &Settings, context: &Context) -> Result<Box<dyn Receiver>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    context.health.waits_for("the first sweep");
    // Here and not in the thread: where the kernel takes no program, nothing at all is started.
    let watch = Watch::start(&config, context.clone())?;
    Ok(Box::new(Tcp { watch }))
}

#[async_trait]
impl Receiver for Tcp {
    async fn run(self: Box<Self>, out: Outlet, mut stop: Stop) -> Result<(), RunError> {
        let word = Arc::new(Word::default());
        let stop_with_task = StopWithTask(Arc::clone(&word));
        let (batches, mut watched) = mpsc::channel::<Batch>(BATCHES_MAX - 1);
        let Self { watch } = *self;
        let seen = Arc::clone(&word);
        let thread = thread::Builder::new()
            .name("tapetum-tcp".to_owned())
            .spawn(move || watch.run(&seen, &batches))
            .map_err(|why| RunError::new(format!("cannot start a thread: {why}")))?;
        let mut stopping = false;
        loop {
            tokio::select! {
                batch = watched.recv() => match batch {
                    // A batch that is refused was dropped and counted where it was refused.
                    Some(batch) => { out.send(batch).await; }
                    None => break,
                },
                () = stop.wait(), if !stopping => {
                    stopping = true;
                    word.stop.store(true, Ordering::Relaxed);
                    thread.thread().unpark();
                }
            }
            word.pressure.store(out.pressure() as u8, Ordering::Relaxed);
        }
        drop(stop_with_task);
        match thread.join() {
            Ok(result) => result,
            Err(_) => Err(RunError::new(
                "the thread that watches connections panicked",
            )),
        }
    }
}

impl Word {
    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How many times longer a sweep may take to come.
    fn patience(&self) -> u32 {
        match self.pressure.load(Ordering::Relaxed) {
            p if p == Pressure::None as u8 => 1,
            p if p == Pressure::Some as u8 => 2,
            _ => 4,
        }
    }
}

impl Drop for StopWithTask {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
