//! The task of one pipeline: takes batches, runs its processors, hands to every exporter or to none.

use std::sync::Arc;

use tapetum_model::Batch;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::chain::Chain;
use crate::books::{Account, Posting};
use crate::outlet::{Handover, Request};
use crate::queue::{Door, Front, Permit, Prepared};
use crate::{Answer, Flush, Full, Gauge, Stop};

/// A pipeline as its task owns it.
pub(super) struct Pipeline {
    pub(super) chain: Chain,
    pub(super) door: Arc<Door>,
    /// The exporters that are sent to.
    pub(super) push: Vec<Arc<Front>>,
    /// The exporters that ask, by their number in the graph.
    pub(super) pull: Vec<(usize, Arc<Account>)>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// `tapetum.window.end`
    pub(super) window_end: Gauge,
    /// The time for a stop is over.
    pub(super) cut: Stop,
}

/// What may still be refused.
struct Asked {
    permits: Vec<Permit>,
    items: u64,
    /// Nothing of it has stayed anywhere.
    returnable: bool,
}

impl Pipeline {
    /// Runs until nobody hands over any more.
    pub(super) async fn run(mut self) {
        loop {
            let due = self.chain.due();
            tokio::select! {
                biased;
                () = self.cut.wait() => {
                    self.requests.close();
                    while let Ok(request) = self.requests.try_recv() {
                        request.lose("drain");
                    }
                    break;
                }
                () = until(due) => {
                    let flushed = self.chain.tend();
                    self.send(flushed, None).await;
                }
                request = self.requests.recv() => match request {
                    Some(Request::Take(handover)) => self.take(handover).await,
                    Some(Request::Give { exporter, answer }) => {
                        let batches = self.chain.flush(Flush::Scrape);
                        let items = count(&batches);
                        if answer.send(batches).is_ok() {
                            self.given(exporter, items);
                        }
                    }
                    Some(Request::Renew) => {
                        let rest = self.chain.renew();
                        self.send(rest, None).await;
                    }
                    None => break,
                },
            }
            self.door.ailing(self.chain.ailing());
        }
        let rest = self.chain.flush(Flush::Drain);
        self.send(rest, None).await;
    }

    async fn take(&mut self, handover: Handover) {
        let items = handover.batch.items();
        let end = handover.batch.window.end.0;
        let passed = self.chain.run(vec![handover.batch], 0);
        handover.account.post(&Posting {
            taken: items,
            out: items,
            ..Posting::default()
        });
        // Who asks is given what a flush gives; what passes by on its way is not for it.
        let passing = count(&passed.batches);
        for (_, account) in &self.pull {
            account.post(&Posting {
                taken: passing,
                filtered: vec![("not_asked_for", passing)],
                ..Posting::default()
            });
        }
        let asked = Asked {
            permits: handover.permits,
            items,
            returnable: handover.alone && !passed.kept,
        };
        let answer = self.send(passed.batches, Some(asked)).await;
        self.window_end.set(i64::try_from(end).unwrap_or(i64::MAX));
        let _ = handover.answer.send(answer);
    }

    /// Hands batches to every exporter, or to none if one refuses and they can be given back.
    async fn send(&mut self, mut batches: Vec<Batch>, asked: Option<Asked>) -> Answer {
        let mut prepared: Vec<Vec<Prepared>> = Vec::with_capacity(self.push.len());
        for front in &self.push {
            let of_front = batches.iter_mut().map(|batch| front.prepare(batch));
            prepared.push(of_front.collect());
        }
        drop(batches);
        let promised = match self.reserve(&prepared, asked) {
            Ok(promised) => promised,
            Err(answer) => {
                for (front, prepared) in self.push.iter().zip(&prepared) {
                    prepared.iter().for_each(|prepared| front.refuse(prepared));
                }
                return answer;
            }
        };
        for ((front, prepared), promised) in self.push.iter().zip(prepared).zip(promised) {
            let reserved = promised.map(Permit::redeem).is_some();
            for prepared in prepared {
                front.commit(prepared, reserved).await;
            }
        }
        Answer::Accepted
    }

    /// Promises room at every exporter that may refuse; what each has promised.
    fn reserve(
        &self,
        prepared: &[Vec<Prepared>],
        asked: Option<Asked>,
    ) -> Result<Vec<Option<Permit>>, Answer> {
        let mut promised = Vec::with_capacity(self.push.len());
        let Some(mut asked) = asked else {
            promised.resize_with(self.push.len(), || None);
            return Ok(promised); // Nobody is there to be refused.
        };
        for (front, prepared) in self.push.iter().zip(prepared) {
            let bytes = prepared.iter().map(|one| one.bytes).sum();
            self.door.learn(front, asked.items, bytes);
            if !prepared.iter().any(|one| one.full == Full::Refuse) {
                promised.push(None);
                continue;
            }
            let estimated = asked.permits.iter().position(|permit| permit.is_for(front));
            let room = match estimated.map(|at| asked.permits.swap_remove(at)) {
                Some(permit) => permit.exchange(bytes),
                None => Permit::of(front, bytes),
            };
            if room.is_none() && asked.returnable {
                return Err(Answer::Refused {
                    after: front.refused_after(),
                });
            }
            promised.push(room);
        }
        Ok(promised)
    }

    fn given(&self, exporter: usize, items: u64) {
        for (_, account) in self.pull.iter().filter(|(at, _)| *at == exporter) {
            account.post(&Posting {
                taken: items,
                out: items,
                ..Posting::default()
            });
        }
    }
}

fn count(batches: &[Batch]) -> u64 {
    batches.iter().map(Batch::items).sum()
}

/// Waits until then; forever if there is no then.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
