//! What was lost on the way is told with the next that arrives.

use super::*;

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
