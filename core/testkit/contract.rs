//! What every component of a kind promises, checked against one: call these from its tests.

use std::collections::BTreeMap;
use std::time::Duration;

use tapetum_model::{Attr, Batch, Metric, Point, PointValue};
use tapetum_pipeline::{Encode, Encoded, Encoding, Export, Flush, Now, Outcome, Output, Processor};

/// Follows the books of a processor through a test.
#[derive(Debug, Default)]
pub struct Books {
    /// Items that the processor still holds.
    pub held: u64,
}

impl Books {
    /// Gives `batch` to `processor`, checks that what it says of it adds up, and returns what it said.
    ///
    /// # Panics
    /// If it sent on, left out and absorbed more than it ever had.
    pub fn process(&mut self, processor: &mut dyn Processor, batch: Batch, now: Now) -> Output {
        let taken = batch.items();
        let mut out = Output::default();
        processor.process(batch, now, &mut out);
        self.settle(taken, &out);
        out
    }

    /// Flushes `processor` and checks the same; nothing may be held after the last flush.
    ///
    /// # Panics
    /// If it does not add up.
    pub fn flush(&mut self, processor: &mut dyn Processor, why: Flush, now: Now) -> Output {
        let mut out = Output::default();
        processor.flush(why, now, &mut out);
        self.settle(0, &out);
        if why == Flush::Drain {
            assert_eq!(self.held, 0, "items are still held after the last flush");
        }
        out
    }

    fn settle(&mut self, taken: u64, out: &Output) {
        let sent: u64 = out.batches.iter().map(Batch::items).sum();
        let filtered: u64 = out.filtered.iter().map(|(_, items)| items).sum();
        let had = self.held + taken + out.made;
        let gone = sent + filtered + out.absorbed;
        assert!(
            gone <= had,
            "sent {sent} + filtered {filtered} + absorbed {} of {had} items: the books do not balance",
            out.absorbed
        );
        assert!(
            out.made <= sent,
            "{} items made but only {sent} sent on",
            out.made
        );
        self.held = had - gone;
    }
}

/// Encodes `batch` and checks that every item of it is in a message, filtered or rejected, and that
/// nothing that was in `into` before is touched.
///
/// # Panics
/// If it does not add up.
pub fn encode(encoder: &mut dyn Encode, batch: &Batch) -> (Vec<Encoded>, Encoding) {
    let before = Encoded {
        signal: batch.signal(),
        items: 7,
        bytes: bytes::Bytes::from_static(b"before").into(),
    };
    let mut messages = vec![before];
    let said = encoder.encode(batch, &mut messages);
    let before = messages.remove(0);
    assert_eq!(
        (before.items, &before.bytes.contiguous()[..]),
        (7, &b"before"[..])
    );
    let encoded: u64 = messages.iter().map(|message| message.items).sum();
    assert_eq!(
        encoded + said.filtered + said.rejected,
        batch.items(),
        "encoded {encoded} + filtered {} + rejected {} of {} items",
        said.filtered,
        said.rejected,
        batch.items()
    );
    (messages, said)
}

/// Begins to send `message`, drops that try after so many turns of the scheduler, as the engine's
/// time-out might, and sends it again: what became of the second try.
pub async fn interrupted(export: &mut dyn Export, message: &Encoded, turns: u32) -> Outcome {
    let cut = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = export.export(message.clone()) => {}
        () = cut => {}
    }
    export.export(message.clone()).await
}

/// A moment `seconds` after the epoch of the test clocks.
#[must_use]
pub fn moment(seconds: u64) -> Now {
    let monotonic = Duration::from_secs(seconds);
    Now {
        unix: crate::clock::EPOCH.plus(monotonic),
        monotonic,
    }
}

/// Checks that the books can be read off the metrics: for each component, in each pipeline, in and
/// made are out, lost, refused, filtered, absorbed and held. For a moment at which nothing moves.
///
/// # Panics
/// If they do not, with what `at` says.
pub fn books_are_in(metrics: &[Point], at: &str) {
    let mut sides: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for point in metrics {
        let PointValue::Sum { cumulative, .. } = point.value else {
            continue;
        };
        let of = |attr: &Attr| matches!(attr, Attr::Component | Attr::Pipeline);
        let whose = point.attributes.0.iter().filter(|(attr, _)| of(attr));
        let (came, went) = sides
            .entry(format!("{:?}", whose.collect::<Vec<_>>()))
            .or_default();
        match point.metric {
            Metric::RecordsIn | Metric::RecordsMade => *came += cumulative,
            Metric::RecordsOut
            | Metric::RecordsLost
            | Metric::RecordsRefused
            | Metric::RecordsFiltered
            | Metric::RecordsAbsorbed
            | Metric::QueueRecords => *went += cumulative,
            _ => {}
        }
    }
    for (whose, (came, went)) in sides {
        assert_eq!(came, went, "{at}: {whose}");
    }
}
