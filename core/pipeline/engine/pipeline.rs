//! The task of one pipeline: takes batches, runs its processors, hands to every exporter or to none.

use std::sync::Arc;

use tapetum_model::{Batch, Origin};
use tokio::sync::mpsc;
use tokio::time::Instant;

use tokio::sync::oneshot;

use super::chain::{Chain, Next};
use super::owed::Owed;
use super::receipts::Receipts;
use crate::books::{Account, Posting};
use crate::outlet::{Handover, Request};
use crate::queue::{Door, Front, Permit, Prepared, Weight};
use crate::tap::Taps;
use crate::{Answer, Flush, Gauge, Stop};

/// A pipeline as its task owns it.
pub(super) struct Pipeline {
    pub(super) chain: Chain,
    pub(super) door: Arc<Door>,
    pub(super) owed: Owed,
    pub(super) receipts: Receipts,
    /// The exporters that are sent to.
    pub(super) push: Vec<Arc<Front>>,
    /// The exporters that ask, by their id.
    pub(super) pull: Vec<(Arc<str>, Arc<Account>)>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// `tapetum.window.end`
    pub(super) window_end: Gauge,
    /// The time for a stop is over.
    pub(super) cut: Stop,
    pub(super) name: Arc<str>,
    pub(super) taps: Arc<Taps>,
}

/// What a pipeline goes on with.
pub(crate) struct Change {
    pub(super) chain: Vec<Next>,
    pub(super) door: Arc<Door>,
    pub(super) push: Vec<Arc<Front>>,
    pub(super) pull: Vec<(Arc<str>, Arc<Account>)>,
    /// Told when it does.
    pub(super) done: oneshot::Sender<()>,
}

/// What may still be refused.
struct Asked {
    permits: Vec<Permit>,
    weight: Weight,
    /// Nothing of it has stayed anywhere.
    returnable: bool,
}

impl Pipeline {
    /// Runs until nobody hands over any more.
    pub(super) async fn run(mut self) {
        loop {
            let hurry = self.receipts.due();
            let due = self.chain.due().into_iter().chain(hurry).min();
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
                    let mut flushed = self.chain.tend();
                    if hurry.is_some_and(|hurry| hurry <= Instant::now()) {
                        self.receipts.asked();
                        flushed.extend(self.chain.hurry());
                    }
                    self.send(flushed, None).await;
                }
                request = self.requests.recv() => match request {
                    Some(Request::Take(handover)) => self.take(handover).await,
                    Some(Request::Give { exporter, answer }) => {
                        let batches = self.chain.flush(Flush::Scrape);
                        let items = count(&batches);
                        if let Some(last) = self.chain.last() {
                            self.taps.show(&self.name, last, &exporter, &batches);
                        }
                        if answer.send(batches).is_ok() {
                            self.given(&exporter, items);
                        }
                    }
                    Some(Request::Renew) => {
                        let rest = self.chain.renew();
                        self.send(rest, None).await;
                    }
                    Some(Request::Change(change)) => self.change(*change).await,
                    None => break,
                },
            }
            self.settle();
        }
        let rest = self.chain.flush(Flush::Drain);
        self.send(rest, None).await;
        self.settle();
    }

    /// After each turn: what is still promised follows from what is still held.
    fn settle(&mut self) {
        self.door.ailing(self.chain.ailing());
        self.receipts.settle(&self.chain);
        if self.chain.held() == 0 {
            self.owed.settle(&self.door, &self.push);
        }
    }

    /// Goes on with other processors and exporters, once the ones before have what those processors held.
    async fn change(&mut self, change: Change) {
        let rest = self.chain.exchange(change.chain);
        self.send(rest, None).await;
        self.receipts.restart(&self.chain);
        self.owed.lead_to(&change.push);
        self.door = change.door;
        self.push = change.push;
        self.pull = change.pull;
        // Whoever started it may have stopped to wait.
        let _ = change.done.send(());
    }

    async fn take(&mut self, handover: Handover) {
        let items = handover.batch.items();
        let weight = Weight::of(&handover.batch);
        let end = handover.batch.window.end.0;
        let origin = handover.batch.origin;
        let batches = vec![handover.batch];
        if self.taps.are_watched() {
            self.show_first(handover.account.component(), &batches);
        }
        let passed = self.chain.run(batches, 0);
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
            weight,
            returnable: handover.alone && !passed.kept,
        };
        // Who cannot come back is not kept waiting for a disk.
        if origin == Origin::Peer && self.push.iter().any(|front| front.is_durable()) {
            self.receipts.enter(handover.answer, &self.chain);
            let answer = self.send(passed.batches, Some(asked)).await;
            if answer != Answer::Accepted {
                self.receipts.refuse(answer);
            }
        } else {
            let answer = self.send(passed.batches, Some(asked)).await;
            let _ = handover.answer.send(answer);
        }
        self.window_end.set(i64::try_from(end).unwrap_or(i64::MAX));
    }

    /// Shows what comes in.
    fn show_first(&self, receiver: &str, batches: &[Batch]) {
        match self.chain.first() {
            Some(first) => self.taps.show(&self.name, receiver, first, batches),
            None => {
                for front in &self.push {
                    self.taps.show(&self.name, receiver, &front.id, batches);
                }
            }
        }
    }

    /// Shows what processors gave.
    fn show_last(&self, batches: &[Batch]) {
        if let Some(last) = self.chain.last() {
            for front in &self.push {
                self.taps.show(&self.name, last, &front.id, batches);
            }
        }
    }

    /// Hands batches to every exporter, or to none if one refuses and they can be given back.
    async fn send(&mut self, mut batches: Vec<Batch>, asked: Option<Asked>) -> Answer {
        if self.taps.are_watched() {
            self.show_last(&batches);
        }
        let mut prepared: Vec<Vec<Prepared>> = Vec::with_capacity(self.push.len());
        for front in &self.push {
            let of_front = batches.iter_mut().map(|batch| front.prepare(batch));
            prepared.push(of_front.collect());
        }
        drop(batches);
        if let Err(answer) = self.promise(&prepared, asked) {
            for (front, prepared) in self.push.iter().zip(&prepared) {
                prepared.iter().for_each(|prepared| front.refuse(prepared));
            }
            return answer;
        }
        let receipt = self.receipts.all();
        for (front, prepared) in self.push.iter().zip(prepared) {
            for prepared in prepared {
                front.commit(prepared, &receipt).await;
            }
        }
        Answer::Accepted
    }

    /// Promises room at every exporter for what is owed to it.
    fn promise(&mut self, prepared: &[Vec<Prepared>], asked: Option<Asked>) -> Result<(), Answer> {
        let owed = prepared.iter().map(|of_front| {
            let owed = of_front.iter().filter(|prepared| prepared.is_owed());
            owed.map(|prepared| prepared.bytes).sum::<u64>()
        });
        match asked {
            Some(asked) if asked.returnable => return self.exchange(asked, prepared, owed),
            Some(asked) => self.owed.keep(asked.permits, asked.weight, &self.push),
            None => {}
        }
        owed.enumerate()
            .for_each(|(at, bytes)| self.owed.redeem(at, bytes));
        Ok(())
    }

    /// The same for a batch that can still be given back, if one of them has no room for it.
    fn exchange(
        &self,
        mut asked: Asked,
        prepared: &[Vec<Prepared>],
        owed: impl Iterator<Item = u64>,
    ) -> Result<(), Answer> {
        let mut promised = Vec::with_capacity(self.push.len());
        for ((front, prepared), owed) in self.push.iter().zip(prepared).zip(owed) {
            let bytes = prepared.iter().map(|one| one.bytes).sum();
            self.door.learn(front, asked.weight, bytes);
            if owed == 0 {
                continue;
            }
            let estimated = asked.permits.iter().position(|permit| permit.is_for(front));
            let room = match estimated.map(|at| asked.permits.swap_remove(at)) {
                Some(permit) => permit.exchange(owed),
                None => Permit::of(front, owed),
            };
            let refused = || Answer::Refused {
                after: front.refused_after(),
            };
            promised.push(room.ok_or_else(refused)?);
        }
        promised.into_iter().for_each(Permit::redeem);
        Ok(())
    }

    fn given(&self, exporter: &str, items: u64) {
        for (_, account) in self.pull.iter().filter(|(id, _)| **id == *exporter) {
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
