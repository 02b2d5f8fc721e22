//! The places where a component meets the engine: hand-over, scrape and stop.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tapetum_model::Batch;
use tokio::sync::{mpsc, oneshot, watch};

use crate::books::{Account, Posting};
use crate::engine::Change;
use crate::queue::{Door, Permit};
use crate::{Kind, Telemetry};

/// Where a receiver hands over. One place a pipeline, each of one batch: a receiver waits for the
/// outcome, so pressure reaches it without a queue in between. Dropping it ends the stream.
pub struct Outlet {
    pub(crate) ways: Ways,
}

/// The ways out of one receiver; a reload exchanges them, and whoever hands over meanwhile waits.
#[derive(Clone)]
pub(crate) struct Ways(Arc<watch::Sender<Option<Arc<[Way]>>>>);

/// The way into one pipeline.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) place: mpsc::Sender<Request>,
    pub(crate) door: Arc<Door>,
    /// The books of this edge.
    pub(crate) account: Arc<Account>,
}

/// What a pipeline is asked, in the order in which it is asked.
pub(crate) enum Request {
    /// To take a batch.
    Take(Handover),
    /// To give what it holds to the exporter that collects; see [`Scrape`].
    Give {
        exporter: Arc<str>,
        answer: oneshot::Sender<Vec<Batch>>,
    },
    /// To begin anew: who told it of what goes on has forgotten all of it.
    Renew,
    /// To go on with other components.
    Change(Box<Change>),
}

/// A batch on its way into a pipeline, and where its outcome is awaited.
pub(crate) struct Handover {
    pub(crate) batch: Batch,
    pub(crate) permits: Vec<Permit>,
    pub(crate) account: Arc<Account>,
    /// No other pipeline has it: a refusal leaves no copy.
    pub(crate) alone: bool,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What became of a batch at the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken; what becomes of it from here is the engine's to count.
    Accepted,
    /// Nothing was taken of it; a sender that can wait should come back, one that cannot counts it.
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
    pub(crate) exporter: Arc<str>,
    /// Those that end in it now.
    pub(crate) pipelines: Asked,
    /// Of a scrape that belongs to no graph.
    pub(crate) own: Option<mpsc::Sender<Request>>,
}

/// The pipelines that an exporter asks; a reload exchanges them.
///
/// Weak: an exporter that may still ask does not keep a pipeline from ending.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<RwLock<Vec<mpsc::WeakSender<Request>>>>);

impl Asked {
    pub(crate) fn set(&self, pipelines: Vec<mpsc::WeakSender<Request>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pipelines;
    }

    fn now(&self) -> Vec<mpsc::WeakSender<Request>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Ways {
    pub(crate) fn new(ways: Vec<Way>) -> Self {
        Self(Arc::new(watch::Sender::new(Some(ways.into()))))
    }

    /// From now on; `None`: whoever hands over waits until they are known again.
    pub(crate) fn set(&self, ways: Option<Vec<Way>>) {
        self.0.send_replace(ways.map(Into::into));
    }

    async fn now(&self) -> Arc<[Way]> {
        let mut ways = self.0.subscribe();
        loop {
            if let Some(ways) = ways.borrow_and_update().clone() {
                return ways;
            }
            // It cannot be closed: its other end is here.
            let _ = ways.changed().await;
        }
    }

    /// What is known of them at once.
    fn known(&self) -> Arc<[Way]> {
        self.0.borrow().clone().unwrap_or_default()
    }
}

impl Outlet {
    /// An outlet that hands over to `take`, for tests of a receiver alone.
    #[must_use]
    pub fn to(mut take: impl FnMut(Batch) -> Answer + Send + 'static) -> Self {
        let (place, mut requests) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                if let Request::Take(Handover { batch, answer, .. }) = request {
                    let _ = answer.send(take(batch));
                }
            }
        });
        let way = Way {
            place,
            door: Arc::default(),
            account: Account::open(&Telemetry::default(), Kind::Receiver, "", None),
        };
        Self {
            ways: Ways::new(vec![way]),
        }
    }

    /// Hands a batch over to every pipeline and waits for what became of it. Refused by one is
    /// refused by all, before any of them has touched it.
    pub async fn send(&self, batch: Batch) -> Answer {
        let ways = self.ways.now().await;
        let admitted: Result<Vec<Vec<Permit>>, Duration> =
            ways.iter().map(|way| way.door.admit(&batch)).collect();
        let permits = match admitted {
            Ok(permits) => permits,
            Err(after) => {
                let items = batch.items();
                for way in ways.iter() {
                    way.account.post(&Posting {
                        taken: items,
                        refused: items,
                        ..Posting::default()
                    });
                }
                return Answer::Refused { after };
            }
        };
        let mut answers = Vec::with_capacity(ways.len());
        let last = ways.len().saturating_sub(1);
        let mut whole = Some(batch);
        for (at, (way, permits)) in ways.iter().zip(permits).enumerate() {
            let copy = if at == last {
                whole.take()
            } else {
                whole.clone()
            };
            let Some(batch) = copy else { continue };
            let (answer, outcome) = oneshot::channel();
            let handover = Handover {
                batch,
                permits,
                account: Arc::clone(&way.account),
                alone: ways.len() == 1,
                answer,
            };
            match way.place.send(Request::Take(handover)).await {
                Ok(()) => answers.push(outcome),
                Err(mpsc::error::SendError(request)) => request.lose("stopped"),
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

    /// Whether a peer would be refused whatever it brings, and when it may come back: asked before its body
    /// is read.
    #[must_use]
    pub fn refuses(&self) -> Option<Duration> {
        let ways = self.ways.known();
        ways.iter().filter_map(|way| way.door.closed()).max()
    }

    /// How full the queues behind it are.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let ways = self.ways.known();
        let levels = ways.iter().map(|way| way.door.pressure());
        levels.max().unwrap_or_default()
    }

    /// Makes the pipelines behind it begin anew, after all that was handed over before.
    pub(crate) async fn renew(&self) {
        for way in self.ways.now().await.iter() {
            // A pipeline that is gone remembers nothing.
            let _ = way.place.send(Request::Renew).await;
        }
    }

    /// Another outlet to the same pipelines, for a receiver that is made anew.
    pub(crate) fn again(&self) -> Self {
        Self {
            ways: self.ways.clone(),
        }
    }
}

impl Request {
    /// Counts a batch that no pipeline takes any more.
    pub(crate) fn lose(self, reason: &'static str) {
        if let Self::Take(handover) = self {
            let items = handover.batch.items();
            handover.account.post(&Posting {
                taken: items,
                dropped: Some((reason, items)),
                ..Posting::default()
            });
        }
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
    /// A scrape that is answered by `give`, for tests of an exporter alone.
    #[must_use]
    pub fn to(mut give: impl FnMut() -> Vec<Batch> + Send + 'static) -> Self {
        let (place, mut requests) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                if let Request::Give { answer, .. } = request {
                    let _ = answer.send(give());
                }
            }
        });
        Self {
            exporter: "".into(),
            pipelines: Asked::default(),
            own: Some(place),
        }
    }

    /// Everything that the pipelines behind it hold, now.
    pub async fn collect(&self) -> Vec<Batch> {
        let mut batches = Vec::new();
        let pipelines = self.pipelines.now().into_iter();
        let pipelines = pipelines.map(|pipeline| pipeline.upgrade());
        for pipeline in pipelines.chain([self.own.clone()]).flatten() {
            let (answer, outcome) = oneshot::channel();
            let request = Request::Give {
                exporter: Arc::clone(&self.exporter),
                answer,
            };
            if pipeline.send(request).await.is_ok() {
                // Only the question keeps the pipeline: an answer may be long in coming.
                drop(pipeline);
                batches.extend(outcome.await.unwrap_or_default());
            }
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use tapetum_model::{Loss, Origin, Payload, Window};

    use super::*;

    #[tokio::test]
    async fn what_no_pipeline_takes_any_more_is_counted() {
        let outlet = Outlet::to(|_| Answer::Accepted);
        let first = outlet.ways.known()[0].clone();
        let account = Arc::clone(&first.account);
        let (place, requests) = mpsc::channel(1);
        drop(requests);
        let closed = Way { place, ..first };
        let outlet = Outlet {
            ways: Ways::new(vec![closed]),
        };
        let batch = Batch {
            payload: Payload::Otlp(tapetum_model::Otlp {
                signal: tapetum_model::OtlpSignal::Logs,
                items: 3,
                bytes: tapetum_model::Pieces::default(),
                peer: None,
            }),
            window: Window::default(),
            loss: Loss::default(),
            origin: Origin::Peer,
        };
        assert_eq!(outlet.send(batch).await, Answer::Accepted);
        let tally = account.book().tally;
        assert_eq!((tally.taken, tally.dropped), (3, 3));
    }
}
