//! A backend that fails, hangs or rejects: tried again, given up, counted.

use super::*;

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
