//! The books under real threads: every snapshot balances, nothing comes twice, nothing is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use tapetum_pipeline::{Answer, Engine, Full, Kind};
use tapetum_testkit::{Graph, Sink, Source, Step, Work, options, sample};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_snapshots_and_retries_do_not_disturb_each_other() {
    let sources: Arc<Vec<Source>> = Arc::new((0..4).map(|_| Source::default()).collect());
    let (all, some) = (Sink::default(), Sink::default());
    some.next((0..200).map(|n| {
        if n % 3 == 0 {
            Step::Later(None)
        } else {
            Step::Take
        }
    }));
    let mut graph = Graph::default()
        .work("pass", &Work::pass())
        .sink("all", &all)
        .queue(64 << 10, Some(Full::Refuse))
        .sink("some", &some)
        .queue(16 << 10, Some(Full::DropOldest));
    for (at, source) in sources.iter().enumerate() {
        graph = graph.source(&format!("s{at}"), source);
    }
    let graph = graph
        .pipeline("a", &["s0", "s1"], &["pass"], &["all", "some"])
        .pipeline("b", &["s2", "s3"], &["pass"], &["all", "some"]);
    let mut spec = graph.spec();
    for exporter in &mut spec.exporters {
        exporter.retry.first = std::time::Duration::from_micros(100);
    }
    let running = Engine::start(spec, options(1)).await.unwrap();
    let senders = (0..4u64).map(|at| {
        let sources = Arc::clone(&sources);
        tokio::spawn(async move {
            for n in 0..250 {
                let rows = (0..10).map(|row| sample::connection(at * 10_000 + n * 10 + row));
                let batch = sample::batch(rows.collect());
                // A peer would wait; that every batch comes in the end is what is judged.
                while sources[at as usize].send(batch.clone()).await != Some(Answer::Accepted) {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    while senders.iter().any(|sender| !sender.is_finished()) {
        let books = running.books();
        assert!(
            books.0.iter().all(|book| book.tally.balances()),
            "{books:?}"
        );
        tokio::task::yield_now().await;
    }
    let report = running.stop().await;
    let tally = |id| *report.books.of(Kind::Exporter, id, None).unwrap();
    assert_eq!((tally("all").out, tally("all").dropped), (10_000, 0));
    let spans = all.spans();
    let different: BTreeSet<_> = spans.iter().collect();
    assert_eq!((spans.len(), different.len()), (10_000, 10_000));
    let some = tally("some");
    assert_eq!((some.taken, some.held), (10_000 + some.refused, 0));
}
