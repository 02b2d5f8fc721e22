//! What was acknowledged outlives the process, however that ends.

use tapetum_pipeline::{Flush, Output};
use tapetum_testkit::{Event, Random, Work};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut world = World::new(40_000, None, 10_000_000, true);
        let slow = Duration::from_millis(random.below(30));
        world.sink.always(Step::Slow(slow));
        for _ in 0..3 {
            let life = world.start().await;
            for _ in 0..random.below(30) {
                let items = 1 + random.below(8);
                world.send(&life, Origin::Peer, items, 1).await;
                sleep(Duration::from_millis(random.below(20))).await;
            }
            life.kill(&world.disk).await;
        }
        let life = world.start().await;
        world.sink.always(Step::Take);
        let mut missing = world.taken().len();
        for _ in 0..1000 {
            sleep(Duration::from_millis(10)).await;
            let spans = world.sink.spans();
            missing = world
                .taken()
                .iter()
                .filter(|one| !spans.contains(one))
                .count();
        }
        assert_eq!(missing, 0, "seed {seed}");
        // Twice only what was sent since the last note of it, of three kills.
        let twice = world.sink.items() - world.rows;
        assert!(twice <= 3 * 8 * 6, "seed {seed}: {twice} twice");
        life.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_waits_for_the_disk() {
    let mut world = World::new(40_000, None, 10_000_000, true);
    world.queue.4 = Durable::Always;
    world.sink.always(Step::Hang);
    let life = world.start().await;
    world.disk.dies_after(0);
    let sent = timeout(
        Duration::from_secs(1),
        life.source.send(Batch {
            origin: Origin::Peer,
            ..sample::connections(3)
        }),
    );
    // The disk says that it fails: then the queue works in memory, and says so.
    assert_eq!(sent.await, Ok(Some(Answer::Accepted)));
    assert!(life.running.health().text.contains("works in memory"));
    life.kill(&world.disk).await;

    let life = world.start().await;
    assert_eq!(world.send(&life, Origin::Peer, 3, 1).await, 1);
    // What was acknowledged is synced: not even the power takes it.
    world.disk.cut_power(&mut Random::new(7));
    drop(life);
    sleep(Duration::from_millis(1)).await;
    world.sink.always(Step::Take);
    let life = world.start().await;
    world.until_delivered(3).await;
    assert_eq!(life.metric(Metric::QueueDiskRecovered), 3);
}

/// A processor that holds what it gets until its time comes, like `batch`.
fn holder() -> Work {
    let mut held: Vec<Batch> = Vec::new();
    Work::every(
        Some(Duration::from_secs(1)),
        move |event, out: &mut Output| match event {
            Event::Batch(batch, _) => held.push(batch),
            Event::Flush(Flush::Scrape, _) => {}
            Event::Flush(..) => held.drain(..).for_each(|batch| out.send(batch)),
        },
    )
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_waits_for_what_a_processor_holds() {
    let (disk, sink, source) = (Disk::default(), Sink::default(), Source::default());
    sink.always(Step::Hang);
    let (first, second) = (holder(), holder());
    let graph = Graph::default()
        .source("in", &source)
        .work("first", &first)
        .work("second", &second)
        .sink("out", &sink)
        .disk(10_000_000, true, Durable::Second)
        .pipeline("main", &["in"], &["first", "second"], &["out"]);
    let options = Options {
        files: Arc::new(disk.clone()),
        ..options(1)
    };
    let running = Engine::start(graph.spec(), options)
        .await
        .expect("it is right");
    let begun = Instant::now();
    let batch = Batch {
        origin: Origin::Peer,
        ..sample::connections(5)
    };
    assert_eq!(source.send(batch.clone()).await, Some(Answer::Accepted));
    let waited = begun.elapsed();
    // Not for its time: a sender with one request under way would send one a second.
    let soon = Duration::from_millis(10)..Duration::from_millis(100);
    assert!(soon.contains(&waited), "{waited:?}");
    let on_disk: u64 = disk.files().iter().map(|(_, length)| length).sum();
    assert!(on_disk > 40, "{on_disk}");
    // Who cannot come back is not kept waiting.
    let begun = Instant::now();
    let batch = Batch {
        origin: Origin::Kernel,
        ..batch
    };
    assert_eq!(source.send(batch).await, Some(Answer::Accepted));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(running.stop().await.kept, [("out".to_owned(), 10)]);
}

#[tokio::test(start_paused = true)]
async fn nobody_else_may_use_the_folder() {
    let world = World::new(40_000, None, 10_000_000, true);
    let life = world.start().await;
    sleep(Duration::from_millis(1)).await;
    let source = Source::default();
    let second = Engine::start(world.spec(&source), world.options()).await;
    let said = second.err().expect("it is refused").to_string();
    assert_eq!(
        said,
        "another process uses the folder queue/out: stop it, or give this one another `service.data_dir`"
    );
    life.stop().await;
    world.start().await.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_described_anew_takes_the_folder_over() {
    let mut world = World::new(40_000, None, 10_000_000, true);
    world.sink.always(Step::Later(None));
    let mut life = world.start().await;
    assert_eq!(world.send(&life, Origin::Peer, 4, 20).await, 20);
    world.queue.2 = 20_000_000;
    let spec = world.spec(&life.source);
    let reloaded = life.running.reload(spec, world.options()).await;
    assert_eq!(reloaded.expect("it is right").made, ["out"]);
    assert_eq!(world.send(&life, Origin::Peer, 4, 1).await, 1);
    sleep(Duration::from_secs(60)).await;
    let text = life.running.health().text;
    assert!(!text.contains("disk"), "{text}");
    assert_eq!(life.tally().held, 84);
    world.sink.always(Step::Take);
    world.until_delivered(84).await;
    let tally = life.tally();
    assert_eq!((tally.taken, tally.out, tally.dropped), (84, 84, 0));
    assert_eq!(life.stop().await.left, []);
}
