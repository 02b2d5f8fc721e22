//! What pods, containers and nodes are called.

use std::sync::Arc;

use serde_json::json;
use tapetum_k8s::{Naming, Owner, Snapshot, Transport};
use tapetum_model::Attr;

use crate::world::{World, at, container_id, ip, pod, uid, value, with};

#[test]
fn a_container_carries_every_level_of_its_owners() {
    let mut world = World::new();
    world.writer.cluster_uid("cluster-uid");
    let owners = [
        Owner::new("apps/v1", "ReplicaSet", "web-5d9c"),
        Owner::new("apps/v1", "Deployment", "web"),
    ];
    let snapshot = world.owned(pod(1, "10.1.0.7"), owners, at(1));
    let (of, container) = snapshot.container(&container_id(1)).expect("it runs");
    assert_eq!(of.workload().map(|owner| &*owner.kind), Some("Deployment"));
    for (attr, expected) in [
        (Attr::ServiceName, "web"),
        (Attr::ServiceNamespace, "shop"),
        (Attr::ServiceInstanceId, "shop.pod-1.main"),
        (Attr::K8sPodUid, &uid(1)),
        (Attr::K8sContainerName, "main"),
        (Attr::K8sNodeName, "node-1"),
        (Attr::K8sReplicaSetName, "web-5d9c"),
        (Attr::K8sDeploymentName, "web"),
        (Attr::K8sWorkloadKind, "Deployment"),
        (Attr::K8sClusterUid, "cluster-uid"),
        (Attr::ContainerId, &container_id(1)),
    ] {
        assert_eq!(
            value(&container.entity, attr.clone()),
            Some(expected),
            "{attr:?}"
        );
    }
    assert!(
        Arc::ptr_eq(&of.entity, &container.entity),
        "there is only one container"
    );
}

#[test]
fn a_name_comes_from_the_annotation_then_a_label_then_the_controller_then_the_pod() {
    let naming = |name_labels| Naming {
        name_labels,
        labels: vec![("team".into(), "team".into())],
        ..Naming::default()
    };
    let labelled = with(
        pod(1, "10.1.0.1"),
        "/metadata/labels",
        json!({"app.kubernetes.io/name": "labelled", "team": "blue"}),
    );
    let annotated = with(
        labelled.clone(),
        "/metadata/annotations",
        json!({"resource.opentelemetry.io/service.name": "annotated"}),
    );
    for (naming, object, owners, expected) in [
        (
            naming(true),
            &annotated,
            vec![Owner::new("x/v1", "Foo", "foo")],
            "annotated",
        ),
        (
            naming(true),
            &labelled,
            vec![Owner::new("x/v1", "Foo", "foo")],
            "labelled",
        ),
        (
            naming(false),
            &labelled,
            vec![Owner::new("x/v1", "Foo", "foo")],
            "foo",
        ),
        (naming(false), &labelled, vec![], "pod-1"),
    ] {
        let mut world = World::named(naming);
        let object = serde_json::from_value(object.clone()).expect("a pod");
        world.writer.apply_pod(&object, owners, at(1));
        let snapshot = world.publish(at(1));
        let entity = &snapshot.pod(&uid(1)).expect("it is there").entity;
        assert_eq!(entity.name().map(|name| &**name), Some(expected));
        assert_eq!(value(entity, Attr::Custom("team".into())), Some("blue"));
    }
}

#[test]
fn one_of_several_containers_is_only_named_where_it_is_known() {
    let object = with(
        pod(1, "10.1.0.7"),
        "/spec/containers",
        json!([
            {"name": "main", "ports": [{"containerPort": 8080}]},
            {"name": "sidecar", "ports": [{"containerPort": 15001}]},
        ]),
    );
    let object = with(object, "/spec/initContainers", json!([{"name": "setup"}]));
    let object = with(
        object,
        "/spec/ephemeralContainers",
        json!([{"name": "debug"}]),
    );
    let object = with(
        object,
        "/status/ephemeralContainerStatuses",
        json!([{"name": "debug", "containerID": format!("cri-o://{}", container_id(9))}]),
    );
    let mut world = World::new();
    let snapshot = world.pod(object, at(1));
    let pod = snapshot.pod(&uid(1)).expect("it is there");
    assert_eq!(pod.containers.len(), 4);
    assert_eq!(value(&pod.entity, Attr::K8sContainerName), None);
    let declared = pod
        .container_at(8080, Transport::Tcp)
        .expect("main declares it");
    assert_eq!(&*declared.name, "main");
    assert!(pod.container_at(9999, Transport::Tcp).is_none());
    let (_, debug) = snapshot.container(&container_id(9)).expect("it runs");
    assert_eq!(&*debug.name, "debug");
}

#[test]
fn a_restarted_container_keeps_its_former_id() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(1));
    let restarted = with(
        pod(1, "10.1.0.7"),
        "/status/containerStatuses",
        json!([{
            "name": "main", "containerID": format!("containerd://{}", container_id(2)),
            "lastState": {"terminated": {"containerID": format!("containerd://{}", container_id(1))}},
        }]),
    );
    let snapshot = world.pod(restarted, at(2));
    for id in [1, 2] {
        let (pod, container) = snapshot.container(&container_id(id)).expect("it is known");
        assert_eq!((&*pod.name, &*container.name), ("pod-1", "main"));
    }
}

#[test]
fn a_static_pod_is_found_by_the_uid_of_its_cgroup() {
    let hash = "0123456789abcdef0123456789abcdef";
    let mirror = with(
        pod(1, "192.0.2.1"),
        "/metadata/annotations",
        json!({"kubernetes.io/config.hash": hash, "kubernetes.io/config.mirror": hash}),
    );
    let mut world = World::new();
    let snapshot = world.pod(mirror, at(1));
    let pod = snapshot.pod(hash).expect("its cgroup has this UID");
    assert_eq!(value(&pod.entity, Attr::K8sPodUid), Some(&*uid(1)));
}

#[test]
fn the_zone_comes_with_the_node_whichever_is_first() {
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(1));
    world.node(1, "zone-a", "192.0.2.1");
    let snapshot = world.publish(at(2));
    let holder = snapshot
        .pod_at(ip("10.1.0.7"), at(2).at)
        .pod()
        .expect("it has it");
    assert_eq!(value(&holder.entity, Attr::Zone), Some("zone-a"));
    let (_, container) = snapshot.container(&container_id(1)).expect("it runs");
    assert_eq!(value(&container.entity, Attr::Zone), Some("zone-a"));
    assert_eq!(
        snapshot.node_at(ip("192.0.2.1")).map(|node| &*node.name),
        Some("node-1")
    );
    world.node(2, "zone-b", "192.0.2.1");
    let snapshot = world.publish(at(3));
    assert!(
        snapshot.node_at(ip("192.0.2.1")).is_none(),
        "two nodes say that they have it"
    );
}

#[test]
fn what_does_not_matter_here_changes_no_snapshot() {
    let mut world = World::new();
    let first = world.pod(pod(1, "10.1.0.7"), at(1));
    let other = with(pod(1, "10.1.0.7"), "/metadata/resourceVersion", json!("77"));
    let second = world.pod(other, at(2));
    assert_eq!(first.version(), second.version());
    let third = world.pod(pod(2, "10.1.0.8"), at(3));
    assert!(third.version() > second.version());
    let entity = |snapshot: &Snapshot| Arc::clone(&snapshot.pod(&uid(1)).expect("it lives").entity);
    assert!(Arc::ptr_eq(&entity(&first), &entity(&third)));
}
