//! The places where a component meets the engine: hand-over, scrape and stop.

use std::time::Duration;

use tapetum_model::Batch;
use tokio::sync::{mpsc, oneshot, watch};

/// Where a receiver hands over. One place a pipeline, each of one batch: a receiver waits for the
/// outcome, so pressure reaches it without a queue in between. Dropping it ends the stream.
pub struct Outlet {
    pub(crate) pipelines: Vec<mpsc::Sender<Handover>>,
    pub(crate) pressure: watch::Receiver<Pressure>,
}

/// A batch on its way into a pipeline, and where its outcome is awaited.
pub(crate) struct Handover {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What became of a batch at the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Every exporter's queue has it (or has dropped something older for it).
    Accepted,
    /// It was not taken; a sender that can wait should come back.
    Refused {
        /// Not before.
        after: Duration,
    },
}

/// How full the queues are: a kernel receiver coarsens instead of waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Room everywhere.
    #[default]
    None,
    /// Some queue is more than half full.
    Some,
    /// Some queue is full.
    Full,
}

/// The request to stop; clones see the same.
#[derive(Clone)]
pub struct Stop(pub(crate) watch::Receiver<bool>);

/// How an exporter that is asked collects: every pipeline that ends in it is flushed, after what
/// those pipelines had received before.
#[derive(Clone)]
pub struct Scrape {
    pub(crate) pipelines: Vec<mpsc::Sender<oneshot::Sender<Vec<Batch>>>>,
}

impl Outlet {
    /// An outlet that hands over to `take`, for tests of a receiver alone.
    #[must_use]
    pub fn to(mut take: impl FnMut(Batch) -> Answer + Send + 'static) -> Self {
        let (place, mut handed) = mpsc::channel::<Handover>(1);
        tokio::spawn(async move {
            while let Some(Handover { batch, answer }) = handed.recv().await {
                let _ = answer.send(take(batch));
            }
        });
        let (_, pressure) = watch::channel(Pressure::None);
        Self {
            pipelines: vec![place],
            pressure,
        }
    }

    /// Hands a batch over to every pipeline and waits for what became of it. Refused by one is
    /// refused.
    pub async fn send(&self, batch: Batch) -> Answer {
        let mut answers = Vec::with_capacity(self.pipelines.len());
        let last = self.pipelines.len().saturating_sub(1);
        let mut batch = Some(batch);
        for (at, pipeline) in self.pipelines.iter().enumerate() {
            let copy = if at == last {
                batch.take()
            } else {
                batch.clone()
            };
            let Some(copy) = copy else { continue };
            let (answer, outcome) = oneshot::channel();
            if pipeline
                .send(Handover {
                    batch: copy,
                    answer,
                })
                .await
                .is_ok()
            {
                answers.push(outcome);
            }
        }
        let mut worst = Answer::Accepted;
        for answer in answers {
            if let Ok(Answer::Refused { after }) = answer.await {
                worst = Answer::Refused { after };
            }
        }
        worst
    }

    /// How full the queues behind it are.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        *self.pressure.borrow()
    }
}

impl Stop {
    /// A stop and the switch that throws it.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (switch, stop) = watch::channel(false);
        (switch, Self(stop))
    }

    /// Waits until it is asked for; also when nobody is left to ask.
    pub async fn wait(&mut self) {
        while !*self.0.borrow_and_update() {
            if self.0.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether it has been asked for.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Scrape {
    /// Everything that the pipelines behind it hold, now.
    pub async fn collect(&self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for pipeline in &self.pipelines {
            let (answer, outcome) = oneshot::channel();
            if pipeline.send(answer).await.is_ok() {
                batches.extend(outcome.await.unwrap_or_default());
            }
        }
        batches
    }
}
