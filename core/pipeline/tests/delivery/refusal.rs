//! A refusal is of all or of none, and leaves nothing behind.

use super::*;

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
    let running = Engine::start(graph.spec(), options(1))
        .await
        .expect("every part of the graph is used");
    kernel.send(sample::connections(10)).await;
    sleep(Duration::from_millis(1)).await;
    let answer = peer.send(from(Origin::Peer, 2)).await;
    (running, answer.expect("the receiver runs"))
}

#[tokio::test(start_paused = true)]
async fn what_turns_out_too_large_behind_the_door_is_refused_only_if_nothing_of_it_stayed() {
    let (running, answer) = surprised(&[], 1).await;
    assert!(matches!(answer, Answer::Refused { .. }));
    let out = tally(&running, "out");
    assert_eq!((out.refused, out.dropped, out.held), (2, 0, 10));

    // The queue holds a little more than its size for once: nothing that was accepted is dropped.
    for (through, pipelines) in [(&[][..], 2), (&["twice"], 1)] {
        let (running, answer) = surprised(through, pipelines).await;
        assert_eq!(answer, Answer::Accepted, "to send it again would double it");
        let out = tally(&running, "out");
        assert_eq!((out.refused, out.dropped, out.held), (0, 0, 14));
    }
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
