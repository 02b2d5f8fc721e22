//! Who had an address when.

use serde_json::json;
use tapetum_k8s::{Holder, Kind, Moment, Seen, Transport};

use crate::world::{START, World, at, container_id, door, holder, ip, pod, uid, with};

#[test]
fn a_reused_address_belongs_to_who_had_it_then() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(100));
    let ends = with(
        pod(1, "10.1.0.7"),
        "/metadata/deletionTimestamp",
        json!(START),
    );
    world.pod(ends.clone(), at(200));
    let rests = with(
        ends,
        "/status/containerStatuses",
        json!([{"name": "main", "state": {"terminated": {}}}]),
    );
    world.pod(rests, at(201));
    world.gone(1, at(202));
    // Taken up at 14:03:24, heard of two seconds later.
    let next = with(
        pod(2, "10.1.0.7"),
        "/status/startTime",
        json!("2026-11-24T14:03:24Z"),
    );
    let snapshot = world.pod(next, at(206));
    for (second, expected) in [
        (150, Some("pod-1")),
        (200, Some("pod-1")),
        (202, None),
        (205, Some("pod-2")),
        (300, Some("pod-2")),
    ] {
        assert_eq!(
            holder(&snapshot, "10.1.0.7", at(second)).as_deref(),
            expected,
            "{second}"
        );
    }
}

#[test]
fn a_claim_that_overlaps_another_decides_nothing() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(100));
    let ends = with(
        pod(1, "10.1.0.7"),
        "/metadata/deletionTimestamp",
        json!(START),
    );
    world.pod(ends, at(200));
    // The next one was taken up before the end of this one was heard of.
    let next = with(
        pod(2, "10.1.0.7"),
        "/status/startTime",
        json!("2026-11-24T14:03:16Z"),
    );
    world.pod(next, at(206));
    let snapshot = world.gone(1, at(207));
    let then = |second| snapshot.pod_at(ip("10.1.0.7"), at(second).at);
    assert!(matches!(then(198), Holder::Several), "{:?}", then(198));
    assert_eq!(
        holder(&snapshot, "10.1.0.7", at(206)).as_deref(),
        Some("pod-2")
    );
    assert_eq!(
        holder(&snapshot, "10.1.0.7", at(190)).as_deref(),
        Some("pod-1")
    );
}

#[test]
fn what_happened_while_the_watch_was_cut_off_is_not_guessed() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(100));
    // Nothing is heard from 200 to 260; the address went to another pod at an unknown time.
    let cut = Moment::after_a_cut(at(260).at, at(200).at);
    let mut seen = Seen::default();
    let next = with(
        pod(2, "10.1.0.7"),
        "/status/startTime",
        json!("2026-11-24T14:03:30Z"),
    );
    let object: tapetum_k8s::object::Pod = serde_json::from_value(next).expect("a pod");
    seen.add(&object.metadata);
    world.writer.apply_pod(&object, [], cut);
    world.writer.keep(Kind::Pods, &seen, cut);
    let snapshot = world.publish(cut);
    assert_eq!(
        holder(&snapshot, "10.1.0.7", at(190)).as_deref(),
        Some("pod-1")
    );
    assert!(matches!(
        snapshot.pod_at(ip("10.1.0.7"), at(230).at),
        Holder::Several
    ));
    assert_eq!(
        holder(&snapshot, "10.1.0.7", at(260)).as_deref(),
        Some("pod-2")
    );
}

#[test]
fn the_dead_are_remembered_for_a_while_and_never_too_many() {
    let mut world = World::new();
    for n in 0..20_000 {
        let address = format!("10.{}.{}.1", n / 250, n % 250);
        world.pod(pod(n, &address), at(10));
        world.gone(n, at(11));
    }
    let snapshot = world.publish(at(12));
    assert!(snapshot.pod(&uid(19_999)).is_some());
    assert!(snapshot.pod(&uid(1)).is_none());
    assert!(world.writer.objects(Kind::Pods) <= 4_097);
    let snapshot = world.publish(at(11 + 181));
    assert_eq!(world.writer.objects(Kind::Pods), 0);
    assert!(snapshot.container(&container_id(19_999)).is_none());
    assert!(matches!(
        snapshot.pod_at(ip("10.79.249.1"), at(10).at),
        Holder::Nobody
    ));
}

#[test]
fn a_pod_that_finished_long_ago_is_none() {
    let finished = |second: &str| {
        let done = json!([{"name": "main", "state": {"terminated": {"finishedAt": second}}}]);
        let done = with(pod(1, "10.1.0.7"), "/status/containerStatuses", done);
        with(done, "/status/phase", json!("Succeeded"))
    };
    let mut world = World::new();
    let snapshot = world.pod(finished("2026-11-24T14:00:10Z"), at(600));
    assert!(snapshot.pod(&uid(1)).is_none());
    let snapshot = world.pod(finished("2026-11-24T14:09:58Z"), at(600));
    assert!(snapshot.pod(&uid(1)).is_some());
}

#[test]
fn an_end_in_a_nodes_network_is_the_one_pod_that_declares_the_port() {
    let on_host = |n, port: u16| {
        let object = with(pod(n, "192.0.2.1"), "/spec/hostNetwork", json!(true));
        let ports = json!([{"name": "main", "ports": [{"containerPort": port}]}]);
        with(object, "/spec/containers", ports)
    };
    let mut world = World::new();
    world.pod(on_host(1, 9100), at(1));
    world.pod(on_host(2, 9200), at(1));
    let snapshot = world.pod(on_host(3, 9200), at(1));
    let then = at(2).at;
    let declares = |address| snapshot.host_pod_at(door(address), Transport::Tcp, then);
    assert_eq!(
        declares("192.0.2.1:9100").pod().map(|pod| &*pod.name),
        Some("pod-1")
    );
    assert!(matches!(declares("192.0.2.1:9200"), Holder::Several));
    assert!(matches!(declares("192.0.2.1:9300"), Holder::Nobody));
    assert!(matches!(
        snapshot.pod_at(ip("192.0.2.1"), then),
        Holder::Nobody
    ));
}
