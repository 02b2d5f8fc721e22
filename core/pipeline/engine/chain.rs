//! The processors of one pipeline, run in one go.

use std::mem;
use std::sync::Arc;

use tapetum_model::{Batch, Loss};
use tokio::time::Instant;

use super::ward::{Maker, Ward};
use crate::books::{Account, Posting};
use crate::caught::caught;
use crate::tap::Taps;
use crate::{Clock, Flush, Now, Output, Processor};

/// A pipeline's processors in their order.
pub(super) struct Chain {
    pub(super) stages: Vec<Stage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pipeline: Arc<str>,
    pub(super) taps: Arc<Taps>,
}

/// One processor.
pub(super) struct Stage {
    maker: Maker,
    ward: Ward,
    account: Arc<Account>,
    /// `None`: it failed and is not made anew yet.
    processor: Option<Box<dyn Processor>>,
    again_at: Option<Instant>,
    flush_at: Option<Instant>,
    /// What was lost here, or was on a batch of which nothing went on: told by the next that does.
    untold: Loss,
}

/// A processor of a chain that goes on with other ones.
pub(super) enum Next {
    /// It is in the chain already, at this place.
    Kept(usize),
    /// It is new.
    Made(Box<Stage>),
}

/// What came out of a chain.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) batches: Vec<Batch>,
    /// Some processor keeps something of what came in: it cannot be given back.
    pub(super) kept: bool,
}

impl Chain {
    /// Runs batches through the stages from the `from`th on.
    pub(super) fn run(&mut self, batches: Vec<Batch>, from: usize) -> Passed {
        let now = self.clock.now();
        let mut passed = Passed {
            batches,
            kept: false,
        };
        for at in from..self.stages.len() {
            for batch in mem::take(&mut passed.batches) {
                self.stages[at].process(batch, now, &mut passed);
            }
            self.show(at, &passed.batches);
        }
        passed
    }

    /// Shows what goes from one stage to the next.
    fn show(&self, at: usize, batches: &[Batch]) {
        if self.taps.are_watched()
            && let Some(next) = self.stages.get(at + 1)
        {
            self.taps
                .show(&self.pipeline, self.stages[at].id(), next.id(), batches);
        }
    }

    /// The first processor's id.
    pub(super) fn first(&self) -> Option<&str> {
        self.stages.first().map(Stage::id)
    }

    /// The last one's.
    pub(super) fn last(&self) -> Option<&str> {
        self.stages.last().map(Stage::id)
    }

    /// Flushes every stage, in order, each after what the ones before it gave.
    pub(super) fn flush(&mut self, why: Flush) -> Vec<Batch> {
        let now = self.clock.now();
        let mut passed = Passed::default();
        for at in 0..self.stages.len() {
            for batch in mem::take(&mut passed.batches) {
                self.stages[at].process(batch, now, &mut passed);
            }
            self.stages[at].flush(why, now, &mut passed);
            self.show(at, &passed.batches);
        }
        passed.batches
    }

    /// Makes every processor anew, after each has given what it held. What they remember of things that
    /// go on outside would be told twice, or would never end: who told them of it begins anew too.
    pub(super) fn renew(&mut self) -> Vec<Batch> {
        let rest = self.flush(Flush::Drain);
        self.stages.iter_mut().for_each(Stage::renew);
        rest
    }

    /// Goes on with other processors. Those that go are flushed before, through all that come behind them;
    /// what comes out is for the exporters of before.
    pub(super) fn exchange(&mut self, next: Vec<Next>) -> Vec<Batch> {
        let stays = |at: usize| {
            next.iter()
                .any(|one| matches!(one, Next::Kept(kept) if *kept == at))
        };
        let going: Vec<usize> = (0..self.stages.len()).filter(|at| !stays(*at)).collect();
        let mut rest = Vec::new();
        for at in &going {
            let now = self.clock.now();
            let mut passed = Passed::default();
            self.stages[*at].flush(Flush::Drain, now, &mut passed);
            rest.extend(self.run(passed.batches, at + 1).batches);
        }
        let mut untold = Loss::default();
        for at in going {
            self.stages[at].discard("restarting");
            untold.add(&mem::take(&mut self.stages[at].untold));
        }
        let mut before: Vec<Option<Stage>> =
            mem::take(&mut self.stages).into_iter().map(Some).collect();
        self.stages = next
            .into_iter()
            .filter_map(|one| match one {
                Next::Kept(at) => before.get_mut(at)?.take(),
                Next::Made(stage) => Some(*stage),
            })
            .collect();
        if let Some(batch) = rest.first_mut() {
            batch.loss.add(&untold);
        } else if let Some(stage) = self.stages.first_mut() {
            stage.untold.add(&untold);
        }
        rest
    }

    /// Does what is due: makes failed processors anew, flushes those whose time has come.
    pub(super) fn tend(&mut self) -> Vec<Batch> {
        let mut flushed = Vec::new();
        for at in 0..self.stages.len() {
            let now = self.clock.now();
            let stage = &mut self.stages[at];
            let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= Instant::now());
            if is_due(stage.again_at) {
                stage.rise();
            }
            if is_due(stage.flush_at) {
                let mut passed = Passed::default();
                stage.schedule();
                stage.flush(Flush::Timer, now, &mut passed);
                self.show(at, &passed.batches);
                flushed.extend(self.run(passed.batches, at + 1).batches);
            }
        }
        flushed
    }

    /// Flushes those that hold something, before their time: somebody waits for it.
    pub(super) fn hurry(&mut self) -> Vec<Batch> {
        let mut flushed = Vec::new();
        for at in 0..self.stages.len() {
            if self.stages[at].account.held() > 0 {
                let (now, mut passed) = (self.clock.now(), Passed::default());
                self.stages[at].flush(Flush::Timer, now, &mut passed);
                flushed.extend(self.run(passed.batches, at + 1).batches);
            }
        }
        flushed
    }

    /// When there is something to tend to.
    pub(super) fn due(&self) -> Option<Instant> {
        self.stages
            .iter()
            .flat_map(|stage| [stage.again_at, stage.flush_at])
            .flatten()
            .min()
    }

    /// How many items a processor has taken or made, and how many of these it does not hold any more;
    /// `None`: there is no such processor.
    pub(super) fn flow(&self, stage: usize) -> Option<(u64, u64)> {
        let tally = self.stages.get(stage)?.account.book().tally;
        let entered = tally.taken + tally.made;
        Some((entered, entered - tally.held))
    }

    /// How many items the processors hold: taken, and not gone on yet.
    pub(super) fn held(&self) -> u64 {
        let accounts = self.stages.iter().map(|stage| stage.account.held());
        accounts.sum()
    }

    /// Whether a processor failed and is not made anew yet.
    pub(super) fn ailing(&self) -> bool {
        self.stages.iter().any(|stage| stage.processor.is_none())
    }
}

impl Stage {
    pub(super) fn new(
        maker: Maker,
        ward: Ward,
        account: Arc<Account>,
        processor: Box<dyn Processor>,
    ) -> Self {
        let mut stage = Self {
            maker,
            ward,
            account,
            processor: Some(processor),
            again_at: None,
            flush_at: None,
            untold: Loss::default(),
        };
        stage.schedule();
        stage
    }

    fn id(&self) -> &str {
        &self.maker.instance.id
    }

    fn process(&mut self, batch: Batch, now: Now, passed: &mut Passed) {
        let (items, loss) = (batch.items(), batch.loss);
        let Some(processor) = &mut self.processor else {
            self.lose(items, &loss, "restarting");
            return;
        };
        let mut out = Output::default();
        match caught(|| processor.process(batch, now, &mut out)) {
            Ok(()) => self.settle(items, &loss, out, passed),
            Err(panicked) => {
                self.lose(items, &loss, "panic");
                self.fall(&panicked.0);
            }
        }
    }

    fn flush(&mut self, why: Flush, now: Now, passed: &mut Passed) {
        let Some(processor) = &mut self.processor else {
            return;
        };
        let mut out = Output::default();
        match caught(|| processor.flush(why, now, &mut out)) {
            Ok(()) => self.settle(0, &Loss::default(), out, passed),
            Err(panicked) => self.fall(&panicked.0),
        }
    }

    /// Books what the processor said of `taken` items.
    fn settle(&mut self, taken: u64, loss: &Loss, out: Output, passed: &mut Passed) {
        let sent: u64 = out.batches.iter().map(Batch::items).sum();
        let filtered: u64 = out.filtered.iter().map(|(_, items)| items).sum();
        let gone = sent + filtered + out.absorbed;
        let held_before = self.account.held();
        let had = held_before + taken;
        // Whatever leaves beyond what came was made here, said or not.
        let made = out.made.max(gone.saturating_sub(had));
        let held = signed(taken + made) - signed(gone);
        self.account.post(&Posting {
            taken,
            made,
            out: sent,
            absorbed: out.absorbed,
            filtered: out.filtered,
            held,
            ..Posting::default()
        });
        if out.batches.is_empty() && taken > 0 && filtered == taken {
            self.untold.add(loss);
        }
        // What goes on may be what was held before, and what came may be held in its place.
        passed.kept |= made > 0 || out.absorbed > 0 || held != 0 || held_before > 0;
        let first = passed.batches.len();
        passed.batches.extend(out.batches);
        if let Some(batch) = passed.batches.get_mut(first) {
            batch.loss.add(&mem::take(&mut self.untold));
        }
    }

    fn lose(&mut self, items: u64, loss: &Loss, reason: &'static str) {
        self.account.post(&Posting {
            taken: items,
            dropped: Some((reason, items)),
            ..Posting::default()
        });
        self.untold.add(loss);
        self.untold.queue += items;
    }

    /// Takes the processor away; what it holds is lost with it.
    fn discard(&mut self, reason: &'static str) {
        let held = self.account.held();
        self.account.post(&Posting {
            held: -signed(held),
            dropped: Some((reason, held)),
            ..Posting::default()
        });
        self.untold.queue += held;
        let broken = self.processor.take();
        // It may be too broken even to be thrown away.
        let _ = caught(|| drop(broken));
        self.flush_at = None;
    }

    /// Another processor takes the place of this one, unless one is awaited anyway.
    fn renew(&mut self) {
        if self.processor.is_some() {
            self.discard("restarting");
            self.rise();
        }
    }

    fn fall(&mut self, why: &str) {
        self.discard("panic");
        self.again_at = Some(Instant::now() + self.ward.fell(&format!("it panicked: {why}")));
    }

    fn rise(&mut self) {
        match self.maker.processor() {
            Ok(processor) => {
                self.processor = Some(processor);
                self.again_at = None;
                self.schedule();
                self.ward.rose();
            }
            Err(error) => {
                self.again_at = Some(Instant::now() + self.ward.fell(&error.message));
            }
        }
    }

    fn schedule(&mut self) {
        let every = self.processor.as_ref().and_then(|own| own.flush_every());
        // Without a pause nothing else would ever be done.
        let every = every.filter(|every| !every.is_zero());
        self.flush_at = every.map(|every| Instant::now() + every);
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
