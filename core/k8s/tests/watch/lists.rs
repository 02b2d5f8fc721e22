//! What is asked of the API server.

use serde_json::json;
use tapetum_k8s::{Kind, Scope, Transport, Watch};
use tapetum_testkit::ApiServer;

use crate::world::{NODES, PODS, SERVICES, SLICES, World, clock, pod, settings, uid, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages_and_then_only_changes_do() {
    let server = ApiServer::start();
    for n in 0..1_200 {
        server.put(PODS, pod(n));
    }
    let world = World::of(server);
    world.heard().await;
    for n in [0, 499, 500, 1_199] {
        assert!(world.pod(n).is_some(), "pod-{n} has no name");
    }
    world.server.put(PODS, pod(5_000));
    until("a new pod has its name", || world.pod(5_000).is_some()).await;
    let lists: Vec<_> = world.server.requests();
    let lists = lists
        .iter()
        .filter(|path| path.starts_with("/api/v1/pods?") && !path.contains("watch=1"));
    let limits: Vec<_> = lists.map(|path| path.contains("limit=500")).collect();
    assert_eq!(limits, [true, true, true]);
    let counted = world.watch.counted();
    assert_eq!(
        (counted.lists, counted.restarts, counted.failures),
        (4, 0, 0)
    );
    assert_eq!(counted.objects[Kind::Pods as usize], 1_201);
    assert!(counted.received_bytes > 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_slices_and_nodes_are_read_too() {
    let server = ApiServer::start();
    server.put(NODES, json!({
        "metadata": {"name": "node-1", "uid": uid(900), "labels": {"topology.kubernetes.io/zone": "a"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }));
    server.put(
        SERVICES,
        json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": uid(901)},
            "spec": {"clusterIP": "10.43.0.1", "ports": [{"port": 80}]},
        }),
    );
    server.put(
        SLICES,
        json!({
            "metadata": {
                "name": "web-1", "namespace": "shop", "uid": uid(902),
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "ports": [{"port": 8080}],
            "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "uid": uid(1)}}],
        }),
    );
    server.put(PODS, pod(1));
    let world = World::of(server);
    world.synced().await;
    until("the cluster's UID is known", || {
        world.snapshot().cluster().uid.is_some()
    })
    .await;
    let snapshot = world.snapshot();
    let node = snapshot.node("node-1").expect("it was listed");
    assert_eq!(node.zone.as_deref(), Some("a"));
    let service = |address: &str| {
        let address = address.parse().expect("an address");
        let virtual_one = snapshot.service(address, Transport::Tcp);
        virtual_one.or_else(|| snapshot.backend(address, Transport::Tcp, None))
    };
    for address in ["10.43.0.1:80", "10.0.0.1:8080"] {
        assert_eq!(
            service(address).map(|one| &*one.name),
            Some("web"),
            "{address}"
        );
    }
    world.server.delete(SERVICES, "shop", "web");
    until("the Service is gone", || {
        let address = "10.43.0.1:80".parse().expect("an address");
        world.snapshot().service(address, Transport::Tcp).is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_scope_reads_the_pods_of_the_node_only() {
    let server = ApiServer::start();
    for n in 0..10 {
        server.put(PODS, pod(n));
    }
    let mut settings = settings(&server);
    settings.scope = Scope::Node;
    let watch = Watch::start(settings.clone(), clock(), 1).expect("it starts");
    let index = watch.index();
    until("its pods are read", || {
        index.snapshot().pod(&uid(9)).is_some()
    })
    .await;
    assert!(
        index.snapshot().pod(&uid(8)).is_none(),
        "it lives on another node"
    );
    assert_eq!(server.asked("/api/v1/services"), 0);
    let selected = |path: &String| path.contains("fieldSelector=spec.nodeName=node-1");
    assert!(
        server
            .requests()
            .iter()
            .filter(|path| path.starts_with(PODS))
            .all(selected)
    );
    settings.node = "".into();
    let refused = Watch::start(settings, clock(), 1).expect_err("which node?");
    assert!(refused.to_string().contains("NODE_NAME"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_costs_its_own_names_only() {
    let server = ApiServer::start();
    server.put(PODS, pod(1));
    server.refuse(SLICES, 403);
    let world = World::of(server);
    until("the pods are read", || world.pod(1).is_some()).await;
    until("the trouble is said", || {
        world
            .watch
            .trouble()
            .is_some_and(|trouble| trouble.starts_with("endpointslices: "))
    })
    .await;
    assert!(world.snapshot().state().synced);
    world.server.refuse(SLICES, 0);
    until("there is no trouble any more", || {
        world.watch.trouble().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_is_passed_over() {
    let server = ApiServer::start();
    let mut broken = pod(1);
    broken["spec"]["containers"] = json!("none");
    server.put(PODS, broken);
    server.put(PODS, pod(2));
    let world = World::of(server);
    world.heard().await;
    let mut broken = pod(3);
    broken["status"]["podIPs"] = json!({"ip": 5});
    world.server.put(PODS, broken);
    world.server.put(PODS, pod(4));
    until("the one after it has its name", || world.pod(4).is_some()).await;
    assert!(world.pod(2).is_some() && world.pod(1).is_none());
    assert_eq!(world.watch.counted().unreadable, 2);
}
