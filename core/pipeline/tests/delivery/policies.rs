//! What a full queue does, and that it does it to nobody else.

use super::*;

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
    assert_eq!(source.pressure().await, Some(Pressure::Full));
    let report = running.stop().await;
    assert_eq!((sink.items(), report.took), (100, Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn pressure_rises_and_falls_with_the_queues_behind_a_receiver() {
    let (source, other, sink) = (Source::default(), Source::default(), Sink::of_items(100));
    sink.always(Step::Slow(Duration::from_secs(1)));
    let graph = one(&source, &sink)
        .queue(10 * cost(1), None)
        .source("other", &other)
        .sink("free", &Sink::default())
        .pipeline("main", &["in"], &[], &["out"])
        .pipeline("beside", &["other"], &[], &["free"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..10 {
        source.send(sample::connections(1)).await.unwrap();
        told.extend(source.pressure().await);
    }
    let expected = [
        [Pressure::None; 5].as_slice(),
        &[Pressure::Some; 3],
        &[Pressure::Full; 2],
    ];
    assert_eq!(told, expected.concat());
    assert_eq!(
        other.pressure().await,
        Some(Pressure::None),
        "it is not before that queue"
    );
    sleep(Duration::from_millis(3_500)).await;
    assert_eq!(source.pressure().await, Some(Pressure::Some));
    sleep(Duration::from_secs(7)).await;
    // A message that never fits says nothing of how full the queue is.
    source.send(sample::connections(50)).await.unwrap();
    assert_eq!(source.pressure().await, Some(Pressure::None));
    drop(running);
}
