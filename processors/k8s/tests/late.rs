//! Names that come late: rows wait for them, not for ever, and keep their order.

use tapetum_model::{Attr, Connection};
use tapetum_pipeline::Flush;
use tapetum_testkit::contract::moment;

use super::world::{World, born, client, far, found, pod, value};
use crate::k8s::waiting;

fn pods(rows: &[Connection]) -> Vec<String> {
    let near = rows.iter().map(|row| row.local.entity.as_ref());
    near.map(|entity| value(entity, &Attr::K8sPodName))
        .collect()
}

/// The `n`th row of a connection of pod 1 to pod 2.
fn nth(n: u64) -> Connection {
    let mut row = client("10.1.2.2:8080", None);
    row.born = born(9);
    row.delta.bytes_sent = n;
    row
}

fn order(rows: &[Connection]) -> Vec<u64> {
    rows.iter().map(|row| row.delta.bytes_sent).collect()
}

#[test]
fn a_record_waits_for_the_pod_that_is_not_known_yet() {
    let mut world = World::new();
    world.pod(pod(2, "10.1.2.2"), &[], 1);
    assert_eq!(world.process(vec![nth(1), nth(2)], 10), []);
    assert_eq!(world.process(vec![nth(3)], 11), []);
    assert_eq!(world.held(), 3);
    assert_eq!(world.flush(Flush::Scrape, moment(11)), []);
    assert_eq!(world.flush(Flush::Timer, moment(12)), []);
    world.pod(pod(1, "10.1.1.1"), &[], 13);
    let rows = world.process(vec![nth(4)], 13);
    assert_eq!((order(&rows), world.held()), (vec![1, 2, 3, 4], 0));
    assert!(pods(&rows).iter().all(|pod| pod == "pod-1"));
    assert_eq!(world.unnamed("late"), 0);
}

#[test]
fn a_timer_lets_go_what_has_a_name_now() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.1.1"), &[], 1);
    assert_eq!(world.process(vec![nth(1)], 10), []);
    world.pod(pod(2, "10.1.2.2"), &[], 11);
    let rows = world.flush(Flush::Timer, moment(11));
    assert_eq!(
        (order(&rows), far(&rows[0])[1].as_str()),
        (vec![1], "pod-2")
    );
}

#[test]
fn a_name_that_does_not_come_is_waited_for_once() {
    let mut world = World::new();
    world.pod(pod(2, "10.1.2.2"), &[], 1);
    assert_eq!(world.process(vec![nth(1)], 10), []);
    assert_eq!(world.process(vec![nth(2)], 14), []);
    assert_eq!(order(&world.flush(Flush::Timer, moment(15))), [1, 2]);
    assert_eq!(order(&world.process(vec![nth(3)], 16)), [3]);
    assert_eq!((world.held(), world.unnamed("late")), (0, 3));
    let row = &world.process(vec![nth(4)], 17)[0];
    // What is known of it leaves.
    let near = row.local.entity.as_ref();
    assert_eq!(value(near, &Attr::ServiceName), "comm");
    assert_eq!(value(near, &Attr::K8sNodeName), "node-1");
    assert_eq!(far(row)[1], "pod-2");
    // And when it is known after all, it is said.
    world.pod(pod(1, "10.1.1.1"), &[], 18);
    assert_eq!(pods(&world.process(vec![nth(5)], 18)), ["pod-1"]);
}

#[test]
fn a_container_is_waited_for_where_its_pod_is_known() {
    let mut world = World::new();
    world.pod(pod(2, "10.1.2.2"), &[], 1);
    let mut object = pod(1, "10.1.1.1");
    object["status"]["containerStatuses"] = serde_json::json!([]);
    object["spec"]["initContainers"] = serde_json::json!([{"name": "init"}]);
    world.pod(object, &[], 1);
    assert_eq!(world.process(vec![nth(1)], 10), []);
    let rows = world.flush(Flush::Timer, moment(15));
    let near = rows[0].local.entity.as_ref();
    assert_eq!(
        (
            value(near, &Attr::K8sPodName).as_str(),
            value(near, &Attr::K8sContainerName).as_str()
        ),
        ("pod-1", "")
    );
    assert_eq!(
        value(near, &Attr::ContainerId),
        super::world::container_id(1)
    );
    assert_eq!(world.unnamed("late"), 1);
}

#[test]
fn rows_of_one_connection_keep_their_order_whatever_is_known_of_them() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.1.1"), &[], 1);
    world.pod(pod(2, "10.1.2.2"), &[], 1);
    // What was asked for is not known, who answered is, but only later rows say who that was.
    let mut first = nth(1);
    first.remote.address = "10.96.0.77:80".parse().unwrap();
    let mut second = first.clone();
    second.answered_by = Some("10.1.2.2:8080".parse().unwrap());
    second.delta.bytes_sent = 2;
    assert_eq!(
        world.process(vec![first, nth(7)], 10).len(),
        1,
        "another connection goes on"
    );
    assert_eq!(world.process(vec![second], 11), []);
    assert_eq!(order(&world.flush(Flush::Timer, moment(15))), [1, 2]);
}

#[test]
fn everything_that_waits_leaves_at_the_end() {
    let mut world = World::new();
    assert_eq!(world.process(vec![nth(1), nth(2)], 10), []);
    let rows = world.flush(Flush::Drain, moment(11));
    assert_eq!((order(&rows), world.unnamed("drain")), (vec![1, 2], 2));
}

#[test]
fn what_waits_is_bounded() {
    let mut world = World::new();
    let mut came = 0;
    for _ in 0..20 {
        let rows = (0..1_000).map(nth).collect();
        came += world.process(rows, 10).len();
        assert!(world.held() <= waiting::ROWS_MAX as u64, "{}", world.held());
    }
    assert_eq!(came as u64 + world.held(), 20_000);
    assert!(world.unnamed("full") > 0);
}

#[test]
fn nobody_waits_for_an_api_server_that_is_away() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.1.1"), &[], 1);
    world.stands(true, Some(20));
    world.publish(21);
    assert_eq!(
        world.process(vec![nth(1)], 21),
        [],
        "a moment of silence is none"
    );
    assert_eq!(order(&world.process(vec![nth(2)], 26)), [1, 2]);
    let mut other = nth(3);
    other.local.entity = Some(found(30, 30));
    let rows = world.process(vec![other], 27);
    assert_eq!((order(&rows), world.held()), (vec![3], 0));
    assert!(world.unnamed("away") > 0);
    // Who was known before keeps the name.
    assert_eq!(pods(&world.process(vec![nth(4)], 30)), ["pod-1"]);
}

#[test]
fn at_the_start_the_first_list_is_waited_for_and_not_for_ever() {
    let mut world = World::unsynced("");
    assert_eq!(world.process(vec![nth(1)], 10), []);
    assert_eq!(
        world.flush(Flush::Timer, moment(20)),
        [],
        "longer than for a single name"
    );
    world.pod(pod(1, "10.1.1.1"), &[], 21);
    world.pod(pod(2, "10.1.2.2"), &[], 21);
    assert_eq!(pods(&world.flush(Flush::Timer, moment(21))), ["pod-1"]);

    let mut never = World::unsynced("");
    assert_eq!(never.process(vec![nth(1)], 10), []);
    assert_eq!(order(&never.flush(Flush::Timer, moment(25))), [1]);
    let mut other = nth(2);
    other.local.entity = Some(found(30, 30));
    assert_eq!(order(&never.process(vec![other], 26)), [2]);
}

#[test]
fn whoever_wants_no_waiting_gets_none() {
    let mut world = World::with("wait = \"0s\"");
    assert_eq!(order(&world.process(vec![nth(1)], 10)), [1]);
}

#[test]
fn what_is_outside_of_the_cluster_is_not_waited_for() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.1.1"), &[], 1);
    for to in [
        "8.8.8.8:53",
        "127.0.0.1:53",
        "169.254.169.254:80",
        "[2001:db8::1]:80",
        "[fe80::1]:80",
    ] {
        assert_eq!(world.process(vec![client(to, None)], 100).len(), 1, "{to}");
    }
    // Where pods have addresses of the internet, a neighbour may be a pod.
    let mut row = client("[2001:db8:0:7::2]:80", None);
    row.local.address = "[2001:db8:0:5::1]:40000".parse().unwrap();
    assert_eq!(world.process(vec![row], 100), []);
    assert_eq!(far(&world.flush(Flush::Timer, moment(106))[0])[0], "");
}
