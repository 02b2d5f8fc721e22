//! Memory first, the disk when that is full, and the order kept.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_memory_goes_to_disk_and_comes_in_order() {
    let mut world = World::new(40_000, Some(Full::Spill), 10_000_000, false);
    world.sink.always(Step::Hang);
    let life = world.start().await;
    assert_eq!(world.send(&life, Origin::Peer, 4, 4).await, 4);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(world.on_disk(), 0, "memory first");
    assert_eq!(world.send(&life, Origin::Peer, 4, 200).await, 200);
    sleep(Duration::from_millis(100)).await;
    assert!(world.on_disk() > 700_000, "{}", world.on_disk());
    let in_memory = life.metric(Metric::QueueBytes);
    assert!(in_memory <= 40_000, "{in_memory}");
    assert!(life.metric(Metric::QueueDiskBytes) > 700_000);
    assert_eq!(life.tally().held, 816);

    world.sink.always(Step::Take);
    world.until_delivered(816).await;
    assert_eq!(world.sink.spans(), world.taken());
    // What comes now needs no disk any more.
    sleep(Duration::from_secs(1)).await;
    let before = world.on_disk();
    assert_eq!(world.send(&life, Origin::Peer, 4, 4).await, 4);
    sleep(Duration::from_secs(1)).await;
    assert!(world.on_disk() <= before, "{} {before}", world.on_disk());
    let report = life.stop().await;
    assert_eq!((report.left, report.kept), (vec![], vec![]));
    assert_eq!(world.sink.spans(), world.taken());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_who_can_wait_and_drops_the_oldest_for_who_cannot() {
    let mut world = World::new(40_000, Some(Full::Spill), 200_000, false);
    world.sink.always(Step::Hang);
    let life = world.start().await;
    let taken = world.send(&life, Origin::Peer, 4, 200).await;
    assert!((45..60).contains(&taken), "{taken}");
    assert_eq!(life.tally().dropped, 0);
    assert!(world.on_disk() <= 200_000, "{}", world.on_disk());

    let more = world.send(&life, Origin::Kernel, 4, 100).await;
    assert_eq!(more, 100, "the kernel cannot come back");
    sleep(Duration::from_secs(1)).await;
    assert!(world.on_disk() <= 200_000, "{}", world.on_disk());
    let dropped = life.tally().dropped;
    assert!(dropped > 200, "{dropped}");
    world.sink.always(Step::Take);
    world.until_delivered(world.rows - dropped).await;
    let spans = world.sink.spans();
    let newest = spans[spans.len() - 100..].to_vec();
    assert!(world.taken().ends_with(&newest), "the newest are there");
    assert!(spans.is_sorted_by_key(|span| world.taken().iter().position(|one| one == span)));
    assert_eq!(life.stop().await.left, []);
}

#[tokio::test(start_paused = true)]
async fn a_stop_keeps_what_is_in_memory_before_what_is_on_disk() {
    for stopped_twice in [false, true] {
        let mut world = World::new(40_000, Some(Full::Spill), 10_000_000, false);
        world.sink.always(Step::Later(None));
        let life = world.start().await;
        assert_eq!(world.send(&life, Origin::Peer, 4, 50).await, 50);
        let report = life.stop().await;
        assert_eq!(report.left, []);
        assert_eq!(report.kept, [("out".to_owned(), 200)]);
        assert!(report.took < Duration::from_secs(2), "{:?}", report.took);

        let mut life = world.start().await;
        assert_eq!(world.send(&life, Origin::Peer, 4, 10).await, 10);
        if stopped_twice {
            assert_eq!(life.stop().await.kept, [("out".to_owned(), 240)]);
            life = world.start().await;
        }
        world.sink.always(Step::Take);
        world.until_delivered(240).await;
        assert_eq!(world.sink.spans(), world.taken());
        let tally = life.tally();
        assert_eq!((tally.taken, tally.out, tally.held), (240, 240, 0));
    }
}
