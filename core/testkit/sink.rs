//! Exporters for tests: one that is sent to and keeps what it got, one that asks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use tapetum_model::{Batch, Loss, Payload, Records, Signal, SpanId};
use tapetum_pipeline::{
    Bound, Build, Component, Encode, Encoded, Encoding, Export, Exporter, Gives, Outcome, RunError,
    Scrape, Serve, Stop,
};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use crate::registry::Registry;

/// The exporter that is sent to.
pub static SINK: Component = Component {
    name: "sink",
    build: Build::Exporter(|settings, _| {
        let script = SINKS.find(settings)?;
        script.lock().built += 1;
        Ok(Exporter::Push {
            encode: Box::new(Encoder(Arc::clone(&script))),
            export: Box::new(Backend(script)),
        })
    }),
    ..EXPORTER
};

/// The exporter that asks.
pub static ASKER: Component = Component {
    name: "asker",
    build: Build::Exporter(|settings, _| {
        Ok(Exporter::Pull(Box::new(Asking(ASKERS.find(settings)?))))
    }),
    ..EXPORTER
};

const EXPORTER: Component = Component {
    name: "",
    summary: "Keeps what it is given for a test to look at.",
    takes: &[Signal::Connections, Signal::Points],
    gives: Gives::Nothing,
    options: &[],
    metrics: &[],
    example: "",
    check: |_| Vec::new(),
    bound: |_| Bound {
        user_bytes: 1024,
        kernel_bytes: 0,
    },
    build: Build::Exporter(|_, _| Err(tapetum_pipeline::BuildError::new("no exporter"))),
};

static SINKS: Registry<Shared> = Registry::new();
static ASKERS: Registry<Questions> = Registry::new();

/// What a backend does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes it.
    Take,
    /// Takes it but for so many items.
    TakeBut(u64),
    /// Takes it after a while.
    Slow(Duration),
    /// Asks for it later.
    Later(Option<Duration>),
    /// Never wants it.
    Never,
    /// Does not answer.
    Hang,
    /// Panics.
    Panic,
}

/// A test's hand on an exporter that is sent to. Rows are encoded as their span ids, padded to
/// `item_bytes`, so that a test can say which rows came and which came twice.
pub struct Sink {
    pub(crate) number: i64,
    script: Arc<Shared>,
}

/// What a sink was told and what it got.
#[derive(Default)]
struct Script {
    item_bytes: usize,
    steps: VecDeque<Step>,
    always: Option<Step>,
    encode_panics: u32,
    took: Vec<Encoded>,
    refused: u64,
    losses: Vec<Loss>,
    encoded: u64,
    tries: u64,
    built: u64,
}

struct Shared(Mutex<Script>);

struct Encoder(Arc<Shared>);

struct Backend(Arc<Shared>);

/// A test's hand on an exporter that asks.
pub struct Asker {
    pub(crate) number: i64,
    questions: mpsc::Sender<Question>,
}

enum Question {
    Collect(oneshot::Sender<Vec<Batch>>),
    Panic,
}

struct Questions(AsyncMutex<mpsc::Receiver<Question>>);

struct Asking(Arc<Questions>);

impl Default for Sink {
    fn default() -> Self {
        Self::of_items(8)
    }
}

impl Sink {
    /// A sink whose items take `item_bytes` each, at least 8.
    #[must_use]
    pub fn of_items(item_bytes: usize) -> Self {
        let script = Arc::new(Shared(Mutex::new(Script {
            item_bytes,
            ..Script::default()
        })));
        Self {
            number: SINKS.enter(&script),
            script,
        }
    }

    /// What it does with the next messages, one step a try; after them it takes everything, or does
    /// what [`Sink::always`] says.
    pub fn next(&self, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().steps.extend(steps);
    }

    /// What it does when there is no next step.
    pub fn always(&self, step: Step) {
        self.script.lock().always = Some(step);
    }

    /// Makes its encoder panic at the next batch.
    pub fn panic_at_encode(&self) {
        self.script.lock().encode_panics += 1;
    }

    /// The messages that it took.
    #[must_use]
    pub fn took(&self) -> Vec<Encoded> {
        self.script.lock().took.clone()
    }

    /// The rows that it took, in order.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanId> {
        let script = self.script.lock();
        let spans = script.took.iter().flat_map(|message| {
            let bytes = message.bytes.contiguous();
            let items = bytes.chunks(script.item_bytes).map(|item| {
                let mut span = [0; 8];
                span.copy_from_slice(&item[..8]);
                SpanId(span)
            });
            items.collect::<Vec<_>>()
        });
        spans.collect()
    }

    /// How many items it took.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.script
            .lock()
            .took
            .iter()
            .map(|message| message.items)
            .sum()
    }

    /// How many items it took, those not counted that it refused of them.
    #[must_use]
    pub fn net_items(&self) -> u64 {
        let all = self.items();
        all - self.script.lock().refused
    }

    /// What the batches that it encoded said was lost, one a batch.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.script.lock().losses.clone()
    }

    /// How many items were encoded, delivered or not.
    #[must_use]
    pub fn encoded(&self) -> u64 {
        self.script.lock().encoded
    }

    /// How often a message was sent, every try counted.
    #[must_use]
    pub fn tries(&self) -> u64 {
        self.script.lock().tries
    }

    /// How often it was made.
    #[must_use]
    pub fn built(&self) -> u64 {
        self.script.lock().built
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encode for Encoder {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let mut script = self.0.lock();
        if script.encode_panics > 0 {
            script.encode_panics -= 1;
            drop(script);
            panic!("told to");
        }
        script.losses.push(batch.loss);
        script.encoded += batch.items();
        let items = batch.items() as usize;
        if items == 0 {
            return Encoding::default();
        }
        let mut bytes = BytesMut::zeroed(items * script.item_bytes);
        if let Payload::Records(Records::Connections(rows)) = &batch.payload {
            for (row, mut item) in rows.iter().zip(bytes.chunks_mut(script.item_bytes)) {
                item.put_slice(&row.span.0);
            }
        }
        into.push(Encoded {
            signal: batch.signal(),
            items: batch.items(),
            bytes: bytes.freeze().into(),
        });
        Encoding::default()
    }
}

#[async_trait]
impl Export for Backend {
    async fn export(&mut self, message: Encoded) -> Outcome {
        let step = {
            let mut script = self.0.lock();
            script.tries += 1;
            let next = script.steps.pop_front().or(script.always);
            next.unwrap_or(Step::Take)
        };
        let why = || "told to".into();
        let take = |rejected| {
            let mut script = self.0.lock();
            script.refused += message.items.min(rejected);
            script.took.push(message);
            Outcome::Ok {
                rejected,
                message: None,
            }
        };
        match step {
            Step::Take => take(0),
            Step::TakeBut(rejected) => take(rejected),
            Step::Slow(time) => {
                tokio::time::sleep(time).await;
                take(0)
            }
            Step::Later(after) => Outcome::Retryable {
                after,
                message: why(),
            },
            Step::Never => Outcome::Permanent { message: why() },
            Step::Hang => std::future::pending().await,
            Step::Panic => panic!("told to"),
        }
    }
}

impl Default for Asker {
    fn default() -> Self {
        let (questions, asked) = mpsc::channel(1);
        let script = Arc::new(Questions(AsyncMutex::new(asked)));
        Self {
            number: ASKERS.enter(&script),
            questions,
        }
    }
}

impl Asker {
    /// Asks for what the pipelines hold. `None`: the exporter is gone.
    pub async fn collect(&self) -> Option<Vec<Batch>> {
        let (answer, outcome) = oneshot::channel();
        let _ = self.questions.send(Question::Collect(answer)).await;
        outcome.await.ok()
    }

    /// Makes it panic.
    pub async fn panic(&self) {
        let _ = self.questions.send(Question::Panic).await;
    }
}

#[async_trait]
impl Serve for Asking {
    async fn run(self: Box<Self>, scrape: Scrape, mut stop: Stop) -> Result<(), RunError> {
        let mut questions = self.0.0.lock().await;
        loop {
            tokio::select! {
                biased;
                question = questions.recv() => match question {
                    Some(Question::Panic) => panic!("told to"),
                    Some(Question::Collect(answer)) => {
                        let _ = answer.send(scrape.collect().await);
                    }
                    None => stop.wait().await,
                },
                () = stop.wait() => return Ok(()),
            }
            if stop.requested() {
                return Ok(());
            }
        }
    }
}
