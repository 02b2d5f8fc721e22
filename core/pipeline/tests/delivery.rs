//! From the queue to the backend: retries, time-outs, policies, isolation, loss.

use std::time::Duration;

use tapetum_model::{Batch, Loss, Metric, Origin, PointValue};
use tapetum_pipeline::{Answer, Engine, Full, Kind, Pressure, Running, Tally};
use tapetum_testkit::{Event, Graph, Sink, Source, Step, Work, options, sample};
use tokio::time::{Instant, sleep};

/// A queue's cost of a message of `n` items of 100 bytes.
const fn cost(n: u64) -> u64 {
    n * 100 + 72
}

fn one(source: &Source, sink: &Sink) -> Graph {
    Graph::default().source("in", source).sink("out", sink)
}

fn main(graph: Graph) -> Graph {
    graph.pipeline("main", &["in"], &[], &["out"])
}

fn tally(running: &Running, id: &str) -> Tally {
    let books = running.books();
    assert!(
        books.0.iter().all(|book| book.tally.balances()),
        "{books:?}"
    );
    *books
        .of(Kind::Exporter, id, None)
        .expect("the exporter has a book")
}

fn from(origin: Origin, items: usize) -> Batch {
    Batch {
        origin,
        ..sample::connections(items)
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_is_tried_again_with_jitter_and_not_before_it_asks() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([
        Step::Later(None),
        Step::Later(Some(Duration::from_secs(100))),
        Step::Later(None),
    ]);
    let graph = main(one(&source, &sink));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let begun = Instant::now();
    source.send(sample::connections(5)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(running.health().ready);
    assert!(running.health().text.contains("the backend fails: told to"));
    assert_eq!(tally(&running, "out").held, 5);
    while sink.items() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((100.0..=105.1).contains(&took), "{took}");
    assert_eq!((sink.tries(), sink.items()), (4, 5));
    assert_eq!(running.health().text, "ready\n");
    assert_eq!(tally(&running, "out").out, 5);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_given_up_in_time_and_the_next_one_tells_of_it() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.always(Step::Later(None));
    let graph = main(one(&source, &sink).give_up(Duration::from_secs(60)));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await.unwrap();
    sleep(Duration::from_secs(61)).await;
    assert_eq!(tally(&running, "out").dropped, 5);
    sink.always(Step::Take);
    source.send(sample::connections(2)).await.unwrap();
    source.send(sample::connections(2)).await.unwrap();
    running.stop().await;
    let losses: Vec<u64> = sink.losses().iter().map(|loss| loss.queue).collect();
    assert_eq!(losses, [0, 5, 0], "said once, with the next");
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_cut_off_and_sent_again() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Hang]);
    let graph = main(one(&source, &sink));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    source.send(sample::connections(5)).await.unwrap();
    sleep(Duration::from_secs(29)).await;
    assert_eq!((sink.tries(), sink.items()), (1, 0));
    sleep(Duration::from_secs(3)).await;
    assert_eq!((sink.tries(), sink.items()), (2, 5));
    let timeouts = running.metrics().into_iter().find(|point| {
        point.metric == Metric::ExportRequests
            && format!("{:?}", point.attributes).contains("timeout")
    });
    let value = timeouts.map(|point| point.value);
    assert_eq!(
        value,
        Some(PointValue::Sum {
            cumulative: 1,
            delta: 0
        })
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_rejects_is_counted_and_not_sent_again() {
    let (source, sink) = (Source::default(), Sink::default());
    sink.next([Step::Never, Step::TakeBut(2)]);
    let graph = main(one(&source, &sink));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for _ in 0..2 {
        source.send(sample::connections(5)).await.unwrap();
    }
    let report = running.stop().await;
    let tally = report.books.of(Kind::Exporter, "out", None).unwrap();
    assert_eq!((tally.rejected, tally.out, sink.tries()), (7, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_slow_exporter_never_slows_its_neighbour() {
    let (source, slow, fast) = (Source::default(), Sink::of_items(100), Sink::default());
    slow.always(Step::Hang);
    let graph = Graph::default()
        .source("in", &source)
        .sink("slow", &slow)
        .queue(3 * cost(10), None)
        .sink("fast", &fast)
        .pipeline("main", &["in"], &[], &["slow", "fast"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let begun = Instant::now();
    for _ in 0..100 {
        source.send(sample::connections(10)).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(fast.items(), 1000);
    let slow = tally(&running, "slow");
    assert_eq!((slow.taken, slow.dropped, slow.held), (1000, 970, 30));
    assert_eq!(source.pressure().await, Some(Pressure::Full));
}

#[tokio::test(start_paused = true)]
async fn the_origin_decides_where_no_policy_is_named() {
    for (origin, answers, dropped) in [
        (Origin::Kernel, [false, false, false, false], 10),
        (Origin::Flush, [false, false, false, false], 10),
        (Origin::Peer, [false, false, false, true], 0),
    ] {
        let (source, sink) = (Source::default(), Sink::of_items(100));
        sink.always(Step::Hang);
        let graph = main(one(&source, &sink).queue(3 * cost(10), None));
        let running = Engine::start(graph.spec(), options(1)).await.unwrap();
        for refused in answers {
            let answer = source.send(from(origin, 10)).await.unwrap();
            assert_eq!(
                matches!(answer, Answer::Refused { .. }),
                refused,
                "{origin:?}"
            );
        }
        assert_eq!(tally(&running, "out").dropped, dropped, "{origin:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn drop_newest_keeps_what_is_there() {
    let (source, sink) = (Source::default(), Sink::of_items(100));
    sink.next([Step::Slow(Duration::from_secs(5))]);
    let graph = main(one(&source, &sink).queue(2 * cost(1), Some(Full::DropNewest)));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for n in 0..5 {
        let batch = sample::batch(vec![sample::connection(n)]);
        assert_eq!(source.send(batch).await, Some(Answer::Accepted));
    }
    assert_eq!(tally(&running, "out").dropped, 3);
    running.stop().await;
    assert_eq!(sink.spans(), [0, 1].map(|n| sample::connection(n).span));
}

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_queue_is_dropped_whatever_the_policy() {
    for full in [
        Full::Refuse,
        Full::DropOldest,
        Full::DropNewest,
        Full::Block,
    ] {
        let (source, sink) = (Source::default(), Sink::of_items(100));
        let graph = main(one(&source, &sink).queue(cost(5), Some(full)));
        let running = Engine::start(graph.spec(), options(1)).await.unwrap();
        for items in [5, 6, 5] {
            let answer = source.send(sample::connections(items)).await;
            assert_eq!(answer, Some(Answer::Accepted), "{full:?}");
            sleep(Duration::from_millis(1)).await;
        }
        let report = running.stop().await;
        let tally = report.books.of(Kind::Exporter, "out", None).unwrap();
        assert_eq!((tally.out, tally.dropped), (10, 6), "{full:?}");
        let losses: Vec<u64> = sink.losses().iter().map(|loss| loss.queue).collect();
        assert_eq!(losses, [0, 0, 6]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_of_all_exporters_and_all_pipelines_before_any_has_seen_it() {
    let (source, full, free) = (Source::default(), Sink::of_items(100), Sink::default());
    let absorbed = Work::new(|event, out| {
        if let Event::Batch(batch, _) = event {
            out.absorbed += batch.items();
        }
    });
    full.always(Step::Hang);
    let graph = Graph::default()
        .source("in", &source)
        .work("absorb", &absorbed)
        .sink("full", &full)
        .queue(2 * cost(10), None)
        .sink("free", &free)
        .pipeline("spans", &["in"], &[], &["free", "full"])
        .pipeline("metrics", &["in"], &["absorb"], &["free"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let mut refused = 0;
    for _ in 0..10 {
        if source.send(from(Origin::Peer, 10)).await != Some(Answer::Accepted) {
            refused += 10;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((refused, free.items()), (80, 20));
    let books = running.books();
    let metrics = books
        .of(Kind::Processor, "absorb", Some("metrics"))
        .unwrap();
    assert_eq!(metrics.absorbed, 20);
    for pipeline in ["spans", "metrics"] {
        let edge = books.of(Kind::Receiver, "in", Some(pipeline)).unwrap();
        assert_eq!((edge.taken, edge.out, edge.refused), (100, 20, 80));
    }
}

/// A queue that a kernel's batches have filled, and a peer whose batch the door knows nothing of yet.
async fn surprised(through: &[&str], pipelines: usize) -> (Running, Answer) {
    let (kernel, peer, sink) = (Source::default(), Source::default(), Sink::of_items(100));
    sink.always(Step::Hang);
    let absorb = Work::new(|event, out| match event {
        Event::Batch(batch, _) => out.absorbed += batch.items(),
        Event::Flush(..) => {}
    });
    let twice = Work::new(|event, out| {
        if let Event::Batch(batch, _) = event {
            out.made += batch.items();
            out.send(batch.clone());
            out.send(batch);
        }
    });
    let mut graph = Graph::default()
        .source("kernel", &kernel)
        .source("peer", &peer)
        .work("twice", &twice)
        .work("absorb", &absorb)
        .sink("out", &sink)
        .queue(cost(10), None)
        .pipeline("kernel", &["kernel"], &["twice", "absorb"], &["out"])
        .pipeline("full", &["kernel"], &[], &["out"]);
    for name in ["a", "b"].iter().take(pipelines) {
        graph = graph.pipeline(name, &["peer"], through, &["out"]);
    }
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    kernel.send(sample::connections(10)).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let answer = peer.send(from(Origin::Peer, 2)).await.unwrap();
    (running, answer)
}

#[tokio::test(start_paused = true)]
async fn what_turns_out_too_large_behind_the_door_is_refused_only_if_nothing_of_it_stayed() {
    let (running, answer) = surprised(&[], 1).await;
    assert!(matches!(answer, Answer::Refused { .. }));
    let out = tally(&running, "out");
    assert_eq!((out.refused, out.dropped, out.held), (2, 0, 10));

    for (through, pipelines, dropped) in [(&[][..], 2, 4), (&["twice"], 1, 4)] {
        let (running, answer) = surprised(through, pipelines).await;
        assert_eq!(answer, Answer::Accepted, "to send it again would double it");
        let out = tally(&running, "out");
        assert_eq!((out.refused, out.dropped, out.held), (0, dropped, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_blocks_passes_the_wait_on() {
    let (source, sink) = (Source::default(), Sink::of_items(100));
    sink.always(Step::Slow(Duration::from_secs(1)));
    let graph = main(one(&source, &sink).queue(2 * cost(10), Some(Full::Block)));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let begun = Instant::now();
    for _ in 0..10 {
        let answer = source.send(sample::connections(10)).await;
        assert_eq!(answer, Some(Answer::Accepted));
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(8));
    let report = running.stop().await;
    assert_eq!((sink.items(), report.took), (100, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_the_way_is_said_at_each_destination() {
    let (source, left, right) = (Source::default(), Sink::default(), Sink::default());
    let mut first = true;
    // Leaves the whole first batch out: what it said was lost goes with the second.
    let work = Work::new(move |event, out| {
        if let Event::Batch(batch, _) = event {
            if std::mem::take(&mut first) {
                out.filter("first", batch.items());
            } else {
                out.send(batch);
            }
        }
    });
    let graph = Graph::default()
        .source("in", &source)
        .work("work", &work)
        .sink("left", &left)
        .sink("right", &right)
        .pipeline("a", &["in"], &["work"], &["left", "right"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let loss = |ring, limit| Loss {
        ring,
        limit,
        queue: 0,
    };
    for lost in [loss(3, 0), loss(0, 4), loss(0, 0)] {
        let batch = Batch {
            loss: lost,
            ..sample::connections(2)
        };
        source.send(batch).await.unwrap();
    }
    running.stop().await;
    assert_eq!(left.losses(), [loss(3, 4), loss(0, 0)]);
    assert_eq!(right.losses(), left.losses());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dropped_hands_on_what_it_told() {
    let (source, sink) = (Source::default(), Sink::of_items(100));
    sink.next([Step::Slow(Duration::from_secs(1))]);
    let graph = main(one(&source, &sink).queue(2 * cost(10), None));
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for ring in [0, 7, 0, 0] {
        let batch = Batch {
            loss: Loss {
                ring,
                ..Loss::default()
            },
            ..sample::connections(10)
        };
        source.send(batch).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    running.stop().await;
    let told: Vec<_> = sink
        .losses()
        .iter()
        .map(|loss| (loss.ring, loss.queue))
        .collect();
    // The second is dropped for the third before that is sent, so the fourth is the first to know.
    assert_eq!(told, [(0, 0), (7, 0), (0, 0), (7, 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_leaves_what_it_would_have_told_to_the_next() {
    let (kernel, peer, sink) = (Source::default(), Source::default(), Sink::of_items(100));
    sink.always(Step::Hang);
    let graph = Graph::default()
        .source("kernel", &kernel)
        .source("peer", &peer)
        .sink("out", &sink)
        .queue(cost(10), None)
        .pipeline("a", &["kernel"], &[], &["out"])
        .pipeline("b", &["peer"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    for items in [10, 3] {
        kernel.send(sample::connections(items)).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let answer = peer.send(from(Origin::Peer, 2)).await;
    assert!(matches!(answer, Some(Answer::Refused { .. })));
    kernel.send(sample::connections(1)).await.unwrap();
    drop(running);
    let told: Vec<_> = sink.losses().iter().map(|loss| loss.queue).collect();
    assert_eq!(told, [0, 0, 3, 3]);
}
