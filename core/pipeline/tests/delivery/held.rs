//! What a processor holds of a sender that was told "accepted" always finds its room.

use tapetum_pipeline::Flush;

use super::*;

/// A processor that holds every batch until the next flush.
fn hold() -> Work {
    Work::each(Some(Duration::from_millis(200)), || {
        let mut held = Vec::new();
        move |event, out| match event {
            Event::Batch(batch, _) => held.push(batch),
            Event::Flush(..) => held.drain(..).for_each(|batch| out.send(batch)),
        }
    })
}

/// A queue of this many messages of ten items, whose backend hangs; one pipeline holds, one does not.
async fn two_ways(messages: u64, sink: &Sink, held: &Source, direct: &Source) -> Running {
    let hold = hold();
    let graph = Graph::default()
        .source("held", held)
        .source("direct", direct)
        .work("hold", &hold)
        .sink("out", sink)
        .queue(messages * cost(10), None)
        .pipeline("a", &["held"], &["hold"], &["out"])
        .pipeline("b", &["direct"], &[], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await;
    running.expect("every part of the graph is used")
}

fn is_refused(answer: Option<Answer>) -> bool {
    matches!(answer, Some(Answer::Refused { .. }))
}

#[tokio::test(start_paused = true)]
async fn nobody_else_gets_the_room_of_what_is_held() {
    let (sink, held, direct) = (Sink::of_items(100), Source::default(), Source::default());
    sink.always(Step::Hang);
    let running = two_ways(4, &sink, &held, &direct).await;
    // The doors learn what ten items become.
    for source in [&held, &direct] {
        assert!(!is_refused(source.send(from(Origin::Peer, 10)).await));
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(tally(&running, "out").held, 20);

    assert!(!is_refused(held.send(from(Origin::Peer, 10)).await));
    assert!(!is_refused(held.send(from(Origin::Peer, 10)).await));
    assert_eq!(tally(&running, "out").held, 20, "two are held before it");
    let late = direct.send(from(Origin::Peer, 10)).await;
    assert!(is_refused(late), "the room that is left is promised");
    sleep(Duration::from_millis(300)).await;
    let out = tally(&running, "out");
    assert_eq!((out.held, out.dropped, out.refused), (40, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_room_is_given_back_once_nothing_is_held() {
    let (sink, held, direct) = (Sink::of_items(100), Source::default(), Source::default());
    let running = two_ways(2, &sink, &held, &direct).await;
    for _ in 0..20 {
        assert!(!is_refused(held.send(from(Origin::Peer, 10)).await));
        sleep(Duration::from_millis(300)).await;
        assert!(!is_refused(direct.send(from(Origin::Peer, 10)).await));
        assert!(!is_refused(direct.send(from(Origin::Peer, 10)).await));
        sleep(Duration::from_millis(1)).await;
    }
    let out = tally(&running, "out");
    assert_eq!((out.out, out.dropped, out.held), (600, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_estimate_that_was_too_low_loses_nothing() {
    let (sink, held, direct) = (Sink::of_items(100), Source::default(), Source::default());
    sink.always(Step::Hang);
    let running = two_ways(2, &sink, &held, &direct).await;
    // Nothing is known of what an item becomes: all of this is let in.
    for _ in 0..5 {
        assert!(!is_refused(held.send(from(Origin::Peer, 10)).await));
    }
    sleep(Duration::from_millis(300)).await;
    let out = tally(&running, "out");
    assert_eq!((out.held, out.dropped), (50, 0));
    assert!(is_refused(held.send(from(Origin::Peer, 10)).await));
}

#[tokio::test(start_paused = true)]
async fn a_stop_hands_on_what_is_held() {
    let (sink, held, direct) = (Sink::of_items(100), Source::default(), Source::default());
    let running = two_ways(2, &sink, &held, &direct).await;
    assert!(!is_refused(held.send(from(Origin::Peer, 10)).await));
    let report = running.stop().await;
    assert_eq!(sink.items(), 10);
    assert!(report.left.is_empty(), "{:?}", report.left);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_before_is_not_given_back_with_what_comes() {
    // It holds one batch and gives it when the next one comes.
    let swap = Work::each(None, || {
        let mut held: Option<Batch> = None;
        move |event, out| match event {
            Event::Batch(batch, _) => held
                .replace(batch)
                .into_iter()
                .for_each(|old| out.send(old)),
            Event::Flush(why, _) => {
                assert_eq!(why, Flush::Drain);
                held.take().into_iter().for_each(|old| out.send(old));
            }
        }
    });
    let (sink, source) = (Sink::of_items(100), Source::default());
    sink.always(Step::Hang);
    let graph = one(&source, &sink)
        .work("swap", &swap)
        .queue(2 * cost(10), None)
        .pipeline("main", &["in"], &["swap"], &["out"]);
    let running = Engine::start(graph.spec(), options(1)).await.unwrap();
    let mut accepted = 0;
    for _ in 0..10 {
        accepted += u64::from(!is_refused(source.send(from(Origin::Peer, 10)).await));
    }
    let out = tally(&running, "out");
    assert_eq!((out.held, out.dropped), ((accepted - 1) * 10, 0));
    assert!(accepted < 10, "a full queue is said at the door");
}
