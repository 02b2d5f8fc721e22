//! A receiver that a test drives: it hands over what it is told to, fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tapetum_model::{Batch, Signal};
use tapetum_pipeline::{
    Answer, Bound, Build, Component, Gives, Outlet, Pressure, Receiver, RunError, Stop,
};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::registry::Registry;

/// The component.
pub static SOURCE: Component = Component {
    name: "source",
    summary: "Hands over what a test tells it to.",
    takes: &[],
    gives: Gives::These(&[Signal::Connections]),
    options: &[],
    metrics: &[],
    example: "",
    check: |_| Vec::new(),
    bound: |_| Bound {
        user_bytes: 1024,
        kernel_bytes: 0,
    },
    build: Build::Receiver(|settings, _| {
        let script = SCRIPTS.find(settings)?;
        script.built.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Scripted(script)))
    }),
};

static SCRIPTS: Registry<Script> = Registry::new();

/// A test's hand on a receiver. The instance that is made after a failure obeys the same hand.
pub struct Source {
    pub(crate) number: i64,
    commands: mpsc::Sender<Command>,
    script: Arc<Script>,
}

struct Script {
    commands: Mutex<mpsc::Receiver<Command>>,
    built: AtomicU64,
    handed: AtomicU64,
    answered: AtomicU64,
}

enum Command {
    Send(Box<Batch>, oneshot::Sender<Answer>),
    Pressure(oneshot::Sender<Pressure>),
    Panic,
    Fail,
    Hang,
    End,
}

struct Scripted(Arc<Script>);

impl Default for Source {
    fn default() -> Self {
        let (commands, commanded) = mpsc::channel(16);
        let script = Arc::new(Script {
            commands: Mutex::new(commanded),
            built: AtomicU64::new(0),
            handed: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        });
        Self {
            number: SCRIPTS.enter(&script),
            commands,
            script,
        }
    }
}

impl Source {
    /// Hands a batch over; what became of it. `None`: the receiver is gone.
    pub async fn send(&self, batch: Batch) -> Option<Answer> {
        let (answer, outcome) = oneshot::channel();
        self.tell(Command::Send(Box::new(batch), answer)).await;
        outcome.await.ok()
    }

    /// What the receiver is told of the queues behind it.
    pub async fn pressure(&self) -> Option<Pressure> {
        let (answer, told) = oneshot::channel();
        self.tell(Command::Pressure(answer)).await;
        told.await.ok()
    }

    /// Makes it panic.
    pub async fn panic(&self) {
        self.tell(Command::Panic).await;
    }

    /// Makes it return an error.
    pub async fn fail(&self) {
        self.tell(Command::Fail).await;
    }

    /// Makes it hang, deaf to a stop.
    pub async fn hang(&self) {
        self.tell(Command::Hang).await;
    }

    /// Ends its stream.
    pub async fn end(&self) {
        self.tell(Command::End).await;
    }

    /// How often it was made.
    #[must_use]
    pub fn built(&self) -> u64 {
        self.script.built.load(Ordering::Relaxed)
    }

    /// How many items the receiver began to hand over, and of how many it has the answer.
    #[must_use]
    pub fn handed(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.script.handed), load(&self.script.answered))
    }

    async fn tell(&self, command: Command) {
        // To a receiver that hears nothing any more nothing is said: no test waits for it forever.
        let _ = self.commands.try_send(command);
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Receiver for Scripted {
    async fn run(self: Box<Self>, out: Outlet, mut stop: Stop) -> Result<(), RunError> {
        let mut commands = self.0.commands.lock().await;
        loop {
            let command = tokio::select! {
                biased;
                command = commands.recv() => command,
                () = stop.wait() => None,
            };
            match command {
                None | Some(Command::End) => return Ok(()),
                Some(Command::Send(batch, answer)) => {
                    let items = batch.items();
                    self.0.handed.fetch_add(items, Ordering::Relaxed);
                    let outcome = out.send(*batch).await;
                    self.0.answered.fetch_add(items, Ordering::Relaxed);
                    let _ = answer.send(outcome);
                }
                Some(Command::Pressure(answer)) => {
                    let _ = answer.send(out.pressure());
                }
                Some(Command::Panic) => panic!("told to"),
                Some(Command::Fail) => return Err(RunError::new("told to")),
                Some(Command::Hang) => std::future::pending().await,
            }
        }
    }
}
