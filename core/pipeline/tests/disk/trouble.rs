//! A disk that is full, read-only or damaged: said, counted, and no reason to stop.

use std::io;

use tapetum_testkit::Random;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_full_disk_degrades_to_memory_and_comes_back_by_itself() {
    let mut world = World::new(400_000, None, 10_000_000, true);
    world.sink.always(Step::Hang);
    let life = world.start().await;
    assert_eq!(world.send(&life, Origin::Peer, 4, 10).await, 10);
    world.disk.capacity(Some(world.on_disk() + 500));
    assert_eq!(world.send(&life, Origin::Peer, 4, 10).await, 10);
    sleep(Duration::from_millis(10)).await;
    let text = life.running.health().text;
    assert!(life.running.health().ready, "{text}");
    assert!(
        text.contains("queue of exporter `out`: the queue cannot use its disk and works in memory"),
        "{text}"
    );
    assert_eq!(life.metric(Metric::QueueDiskDegraded), 1);
    assert_eq!(life.tally().held, 80);

    world.disk.capacity(None);
    sleep(Duration::from_secs(61)).await;
    let text = life.running.health().text;
    assert!(!text.contains("disk"), "{text}");
    assert_eq!(life.metric(Metric::QueueDiskDegraded), 0);
    life.kill(&world.disk).await;
    world.sink.always(Step::Take);
    let life = world.start().await;
    world.until_delivered(80).await;
    assert_eq!(world.sink.spans(), world.taken());
    assert_eq!(life.metric(Metric::QueueDiskDamaged), 0);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_full_before_anything_was_delivered_gets_room_under_load() {
    let mut world = World::new(400_000, None, 10_000_000, true);
    world.disk.capacity(Some(2_000_000));
    world.sink.always(Step::Later(None));
    let life = world.start().await;
    while life.metric(Metric::QueueDiskDegraded) == 0 {
        assert_eq!(world.send(&life, Origin::Peer, 8, 1).await, 1);
    }
    world.sink.always(Step::Slow(Duration::from_millis(5)));
    let mut sent = 0;
    while life.metric(Metric::QueueDiskDegraded) == 1 {
        // There is always something that waits to be written.
        world.send(&life, Origin::Peer, 8, 1).await;
        sleep(Duration::from_millis(5)).await;
        sent += 1;
        assert!(sent < 100_000, "{}", life.running.health().text);
    }
    world.until_delivered(world.rows).await;
    assert_eq!(world.sink.spans(), world.taken());
    life.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_any_disk_the_queue_is_one_in_memory() {
    for how in [
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull,
    ] {
        for (full, persist) in [(Some(Full::Spill), false), (None, true)] {
            let mut world = World::new(400_000, full, 10_000_000, persist);
            world.disk.fail(Some(how));
            world.sink.always(Step::Hang);
            let life = world.start().await;
            let taken = world.send(&life, Origin::Peer, 4, 200).await;
            // Both halves of the memory are used, and not more.
            assert!((80..100).contains(&taken), "{how}: {taken}");
            let in_memory = life.metric(Metric::QueueBytes);
            assert!((320_000..=400_000).contains(&in_memory), "{in_memory}");
            world.send(&life, Origin::Kernel, 4, 50).await;
            let tally = life.tally();
            assert_eq!((tally.held + tally.dropped) / 4, taken + 50);
            world.sink.always(Step::Take);
            world.until_delivered(tally.held).await;
            let report = life.stop().await;
            assert_eq!((report.left, report.kept), (vec![], vec![]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_segment_costs_what_is_damaged_and_the_books_say_how_much() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut world = World::new(40_000, None, 10_000_000, true);
        world.sink.always(Step::Later(None));
        let life = world.start().await;
        assert_eq!(world.send(&life, Origin::Peer, 4, 100).await, 100);
        assert_eq!(life.stop().await.kept, [("out".to_owned(), 400)]);
        world.disk.damage(&mut random, ".segment");
        world.sink.always(Step::Take);
        let life = world.start().await;
        sleep(Duration::from_secs(10)).await;
        let tally = life.tally();
        assert_eq!(tally.held, 0, "seed {seed}");
        let damaged = life.metric(Metric::QueueDiskDamaged);
        assert!(tally.out == 400 || damaged > 0, "seed {seed}: {tally:?}");
        assert_eq!(tally.out, world.sink.items());
        // The order is kept, and nothing comes that was never sent.
        let taken = world.taken();
        let at = |span: &SpanId| taken.iter().position(|one| one == span);
        let places: Vec<Option<usize>> = world.sink.spans().iter().map(at).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "seed {seed}"
        );
        // And it goes on as if nothing had been.
        assert_eq!(world.send(&life, Origin::Peer, 4, 10).await, 10);
        world.until_delivered(tally.out + 40).await;
        life.stop().await;
    }
}
