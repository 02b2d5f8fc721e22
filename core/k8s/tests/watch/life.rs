//! When a watch begins and ends.

use std::sync::Arc;
use std::thread;

use tapetum_k8s::{Counted, Watch, WatchError};
use tapetum_testkit::ApiServer;

use crate::world::{PODS, clock, pod, settings, uid, until};

#[tokio::test(flavor = "multi_thread")]
async fn equal_settings_are_one_watch_until_its_last_holder_lets_it_go() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let settings = settings(&server);
    let first = Watch::shared(&settings, clock(), 1).expect("it starts");
    let second = Watch::shared(&settings, clock(), 2).expect("it runs");
    assert!(Arc::ptr_eq(&first, &second));
    let mut other = settings.clone();
    other.naming.name_labels = true;
    let third = Watch::shared(&other, clock(), 3).expect("it starts");
    assert!(!Arc::ptr_eq(&first, &third));
    drop(third);
    drop(first);
    let index = second.index();
    until("four kinds are watched", || server.watches() == 4).await;
    until("the pod has its name", || {
        index.snapshot().pod(&uid(1)).is_some()
    })
    .await;
    drop(second);
    until("nobody watches any more", || server.watches() == 0).await;
    assert!(
        index.snapshot().pod(&uid(1)).is_some(),
        "readers keep what they have"
    );
    let again = Watch::shared(&settings, clock(), 4).expect("it starts anew");
    let index = again.index();
    until("it reads anew", || index.snapshot().pod(&uid(1)).is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_done_is_told_once() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    let watch = Watch::start(settings(&server), clock(), 1).expect("it starts");
    let first = watch.increments();
    let index = watch.index();
    until("the pod has its name", || {
        index.snapshot().pod(&uid(1)).is_some()
    })
    .await;
    server.put(PODS, pod(2));
    until("the next has its name", || {
        index.snapshot().pod(&uid(2)).is_some()
    })
    .await;
    let second = watch.increments();
    let (all, third) = (watch.counted(), watch.increments());
    let sum = |of: fn(&Counted) -> u64| of(&first) + of(&second) + of(&third);
    assert_eq!(sum(|counted| counted.events), all.events);
    assert_eq!(sum(|counted| counted.lists), all.lists);
    assert!(all.events >= 1 && all.lists == 4);
}

#[test]
fn without_a_runtime_there_is_no_watch() {
    let server = ApiServer::start();
    let settings = settings(&server);
    let started = thread::spawn(move || Watch::start(settings, clock(), 1).map(|_| ()));
    let error = started.join().expect("it returns").expect_err("no runtime");
    assert!(matches!(error, WatchError::NoRuntime));
}
