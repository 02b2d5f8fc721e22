//! What a watch survives.

use std::time::Duration;

use tapetum_testkit::{ApiServer, Cut};

use crate::world::{PODS, World, address, pod, until};

/// Lists of pods that were begun.
fn lists(world: &World) -> usize {
    let requests = world.server.requests();
    let lists = requests
        .iter()
        .filter(|path| path.starts_with("/api/v1/pods?") && path.contains("limit=500"));
    lists.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.heard().await;
    for (n, cut) in [
        (2, Cut::Ended),
        (3, Cut::Torn),
        (4, Cut::Error(500)),
        (5, Cut::Ended),
    ] {
        world.server.cut_watches(cut);
        world.server.put(PODS, pod(n));
        until("what happened meanwhile is heard of", || {
            world.pod(n).is_some()
        })
        .await;
        world.heard().await;
    }
    // An error that says nothing of the history is answered by a list, the others by going on.
    assert_eq!(lists(&world), 2);
    assert!(world.watch.counted().restarts >= 4);
    assert!(world.pod(1).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bookmark_spares_the_list() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.heard().await;
    // Much happens that is no pod, and the history is short.
    world.server.forget_history();
    world.server.bookmark();
    world.server.put(PODS, pod(2));
    until("a change after the bookmark came", || {
        world.pod(2).is_some()
    })
    .await;
    world.server.cut_watches(Cut::Torn);
    world.heard().await;
    world.server.put(PODS, pod(3));
    until("it goes on", || world.pod(3).is_some()).await;
    assert_eq!(lists(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_history_is_a_new_list_and_no_name_is_dropped_meanwhile() {
    for as_status in [false, true] {
        let server = ApiServer::start();
        for n in 1..=1_000 {
            server.put(PODS, pod(n));
        }
        if as_status {
            server.gone_as_status();
        }
        let world = World::of(server);
        world.heard().await;
        world.server.delay(Duration::from_millis(20));
        world.server.delete(PODS, "shop", "pod-1");
        world.server.put(PODS, pod(2_000));
        world.server.forget_history();
        world.server.cut_watches(Cut::Error(410));
        until("the new pod is heard of", || {
            assert!(world.pod(1_000).is_some(), "a name was dropped");
            world.pod(2_000).is_some()
        })
        .await;
        let at = |n| {
            let address = address(n).parse().expect("an address");
            let snapshot = world.snapshot();
            let now = crate::world::clock()();
            let holder = snapshot.pod_at(address, now);
            holder.pod().map(|pod| pod.name.to_string())
        };
        until("what went in between is gone", || at(1).is_none()).await;
        assert_eq!(at(2_000).as_deref(), Some("pod-2000"));
        assert!(lists(&world) > 2, "{as_status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_at_start_is_waited_for() {
    let server = ApiServer::start();
    server.down(true);
    server.put(PODS, pod(1));
    let world = World::of(server);
    until("the trouble is said", || world.watch.trouble().is_some()).await;
    let state = world.snapshot().state();
    assert!(!state.synced && state.behind_since.is_none());
    world.server.down(false);
    until("the pod has its name", || world.pod(1).is_some()).await;
    until("there is no trouble any more", || {
        world.watch.trouble().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_away_leaves_its_names() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.heard().await;
    world.server.down(true);
    until("it is known to be behind", || {
        world.snapshot().state().behind_since.is_some()
    })
    .await;
    assert!(world.pod(1).is_some());
    assert!(world.watch.trouble().is_some());
    world.server.put(PODS, pod(2));
    world.server.down(false);
    until("what happened meanwhile is heard of", || {
        world.pod(2).is_some()
    })
    .await;
    world.heard().await;
    assert_eq!(lists(&world), 1);
    assert!(world.watch.trouble().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_keep_a_watch_is_not_asked_for_list_after_list() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.heard().await;
    // Every watch ends at once, because what it wants to go on from is forgotten again.
    let before = lists(&world);
    for _ in 0..40 {
        world.server.forget_history();
        world.server.cut_watches(Cut::Error(410));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = lists(&world) - before;
    assert!(asked < 40, "{asked} lists");
    world.heard().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_later_lets_names_age() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.heard().await;
    world.server.refuse(PODS, 403);
    world.server.cut_watches(Cut::Torn);
    until("it is known to be behind", || {
        world.snapshot().state().behind_since.is_some()
    })
    .await;
    assert!(world.pod(1).is_some());
    world.server.refuse(PODS, 0);
    world.heard().await;
}
