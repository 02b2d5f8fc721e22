//! Who is called how, by a cluster that is known.

use serde_json::json;
use tapetum_k8s::Owner;
use tapetum_model::Attr;

use super::world::{World, born, client, container_id, far, found, pod, server, uid, value, with};

/// `pod-1` of a Deployment here and `pod-2` of another on the other node.
fn world() -> World {
    of_file("")
}

fn of_file(options: &str) -> World {
    let mut world = World::with(options);
    let shop = [
        Owner::new("apps/v1", "ReplicaSet", "front-5f"),
        Owner::new("apps/v1", "Deployment", "front"),
    ];
    world.pod(pod(1, "10.1.1.1"), &shop, 1);
    let object = with(pod(2, "10.1.2.2"), "/spec/nodeName", json!("node-2"));
    world.pod(object, &[Owner::new("apps/v1", "StatefulSet", "db")], 1);
    world
}

#[test]
fn the_local_end_is_its_container_and_pod() {
    let mut world = world();
    world.writer.cluster_uid("cluster-uid");
    world.publish(2);
    let row = world.named(client("10.1.2.2:8080", None));
    let near = row.local.entity.as_ref();
    for (attr, expected) in [
        (Attr::ServiceName, "front"),
        (Attr::ServiceNamespace, "shop"),
        (Attr::ServiceInstanceId, "shop.pod-1.main"),
        (Attr::K8sNamespaceName, "shop"),
        (Attr::K8sPodName, "pod-1"),
        (Attr::K8sPodUid, &uid(1)),
        (Attr::K8sContainerName, "main"),
        (Attr::K8sNodeName, "node-1"),
        (Attr::K8sDeploymentName, "front"),
        (Attr::K8sReplicaSetName, "front-5f"),
        (Attr::K8sWorkloadName, "front"),
        (Attr::K8sWorkloadKind, "Deployment"),
        (Attr::Zone, "a"),
        (Attr::ContainerId, &container_id(1)),
        (Attr::K8sClusterName, "test"),
        (Attr::K8sClusterUid, "cluster-uid"),
    ] {
        assert_eq!(value(near, &attr), expected, "{attr:?}");
    }
    assert_eq!(far(&row), ["db", "pod-2", ""]);
    let far = row.remote.entity.as_ref();
    assert_eq!(value(far, &Attr::K8sNodeName), "node-2");
    assert_eq!(value(far, &Attr::Zone), "b");
    assert_eq!(value(far, &Attr::K8sContainerName), "main");
}

#[test]
fn the_same_end_is_the_same_pointer() {
    let mut world = world();
    let row = client("10.1.2.2:8080", None);
    let (first, again) = (world.named(row.clone()), world.named(row.clone()));
    // Something else changes in the cluster.
    world.pod(pod(3, "10.1.1.3"), &[], 3);
    let later = world.named(row);
    for row in [again, later] {
        for (one, other) in [(&first.local, &row.local), (&first.remote, &row.remote)] {
            let pointers =
                [one, other].map(|end| std::sync::Arc::as_ptr(end.entity.as_ref().unwrap()));
            assert_eq!(pointers[0], pointers[1]);
        }
    }
}

#[test]
fn containers_of_one_pod_are_told_apart() {
    let mut world = world();
    let mut object = pod(5, "10.1.1.5");
    object["spec"]["initContainers"] = json!([{"name": "init"}]);
    object["spec"]["ephemeralContainers"] = json!([{"name": "debug"}]);
    let status =
        |name, n| json!([{"name": name, "containerID": format!("cri-o://{}", container_id(n))}]);
    object["status"]["initContainerStatuses"] = status("init", 51);
    object["status"]["ephemeralContainerStatuses"] = status("debug", 52);
    world.pod(object, &[], 2);
    for (container, name) in [(5, "main"), (51, "init"), (52, "debug")] {
        let mut row = client("10.1.2.2:8080", None);
        row.local.entity = Some(found(5, container));
        let row = world.named(row);
        let near = row.local.entity.as_ref();
        assert_eq!(value(near, &Attr::K8sContainerName), name);
        assert_eq!(
            value(near, &Attr::ServiceInstanceId),
            format!("shop.pod-5.{name}")
        );
        assert_eq!(value(near, &Attr::ServiceName), "pod-5", "of no controller");
    }
}

#[test]
fn a_static_pod_is_its_mirror_and_a_pod_of_the_host_network_is_exact() {
    let mut world = world();
    let hash = "b8c4a3f2e1d0b9a8c7d6e5f4a3b2c1d0";
    let mut object = with(pod(6, "10.0.0.1"), "/spec/hostNetwork", json!(true));
    object["metadata"]["annotations"] = json!({"kubernetes.io/config.hash": hash});
    world.pod(object, &[], 2);
    let mut row = client("10.1.2.2:8080", None);
    row.local.address = "10.0.0.1:40000".parse().unwrap();
    row.local.entity = Some(std::sync::Arc::new(tapetum_model::Entity::new([
        (Attr::K8sPodUid, hash.into()),
        (Attr::ContainerId, container_id(6).into()),
    ])));
    let row = world.named(row);
    let near = row.local.entity.as_ref();
    assert_eq!(value(near, &Attr::K8sPodName), "pod-6");
    assert_eq!(value(near, &Attr::K8sPodUid), uid(6));
}

#[test]
fn a_process_of_the_host_has_node_and_zone() {
    let mut world = world();
    let mut row = client("10.1.2.2:8080", None);
    let sshd = tapetum_model::Entity::new([(Attr::ServiceName, "sshd".into())]);
    row.local.entity = Some(std::sync::Arc::new(sshd));
    let row = world.named(row);
    let near = row.local.entity.as_ref();
    let said = [
        Attr::ServiceName,
        Attr::K8sNodeName,
        Attr::Zone,
        Attr::K8sClusterName,
    ];
    assert_eq!(
        said.map(|attr| value(near, &attr)),
        ["sshd", "node-1", "a", "test"]
    );
}

#[test]
fn a_service_is_what_was_asked_and_its_pod_is_who_answered() {
    let mut world = world();
    let spec = json!({
        "clusterIP": "10.96.0.9", "externalIPs": ["198.51.100.9"],
        "ports": [{"port": 80, "nodePort": 30080}],
    });
    world.service(9, "db", &spec, 8080, &[(2, "10.1.2.2")]);
    let by = Some("10.1.2.2:8080");
    for asked in ["10.96.0.9:80", "198.51.100.9:80", "10.0.0.2:30080"] {
        let row = world.named(client(asked, by));
        assert_eq!(far(&row), ["db", "pod-2", "shop/db"], "{asked}");
        assert_eq!(
            row.remote.address,
            asked.parse().unwrap(),
            "it stays what was asked for"
        );
    }
    // Nobody knows who answered: the Service is known all the same, and nobody is waited for.
    let row = world.named(client("10.96.0.9:80", None));
    assert_eq!(far(&row), ["", "", "shop/db"]);
    // A port that is none of the Service's.
    let row = world.named(client("10.0.0.2:30081", None));
    assert_eq!(far(&row), ["node-2", "", ""]);
    // The end of the server: who asked it by what is not known there.
    let row = world.named(server("10.1.2.2:41000"));
    assert_eq!(far(&row), ["db", "pod-2", ""]);
}

#[test]
fn a_load_balancer_inside_connect_leaves_the_only_service_of_its_backend() {
    let mut world = world();
    let headless = json!({"clusterIP": "None", "ports": [{"port": 8080}]});
    world.service(9, "db", &headless, 8080, &[(2, "10.1.2.2")]);
    assert_eq!(
        far(&world.named(client("10.1.2.2:8080", None))),
        ["db", "pod-2", "shop/db"]
    );
    // Another port of the pod is no Service's.
    assert_eq!(
        far(&world.named(client("10.1.2.2:9090", None))),
        ["db", "pod-2", ""]
    );
    // Two send to it: it could be either.
    world.service(10, "also", &headless, 8080, &[(2, "10.1.2.2")]);
    assert_eq!(
        far(&world.named(client("10.1.2.2:8080", None))),
        ["db", "pod-2", ""]
    );
}

#[test]
fn an_end_that_the_receiver_joined_is_exact_and_has_its_service() {
    let mut world = world();
    world.pod(
        pod(4, "10.1.1.4"),
        &[Owner::new("apps/v1", "DaemonSet", "cache")],
        2,
    );
    let spec = json!({"clusterIP": "10.96.0.4", "ports": [{"port": 80}]});
    world.service(9, "cache", &spec, 8080, &[(4, "10.1.1.4")]);
    for (asked, by) in [
        ("10.96.0.4:80", Some("10.1.1.4:8080")),
        ("10.1.1.4:8080", None),
    ] {
        let mut row = client(asked, by);
        row.remote.entity = Some(found(4, 4));
        assert_eq!(
            far(&world.named(row)),
            ["cache", "pod-4", "shop/cache"],
            "{asked}"
        );
    }
    // A client that was translated within this host: its socket tells who it is.
    let mut row = server("10.0.0.1:50000");
    row.remote.entity = Some(found(4, 4));
    let row = world.named(row);
    assert_eq!(
        (far(&row), row.remote.translated),
        (["cache", "pod-4", ""].map(str::to_owned), false)
    );
}

#[test]
fn on_the_network_of_a_host_a_port_tells_the_pod_and_else_it_is_the_node() {
    let mut world = world();
    let mut object = with(pod(7, "10.0.0.2"), "/spec/hostNetwork", json!(true));
    object["spec"]["nodeName"] = json!("node-2");
    world.pod(
        object.clone(),
        &[Owner::new("apps/v1", "DaemonSet", "proxy")],
        2,
    );
    assert_eq!(
        far(&world.named(client("10.0.0.2:8080", None))),
        ["proxy", "pod-7", ""]
    );
    assert_eq!(
        far(&world.named(client("10.0.0.2:22", None))),
        ["node-2", "", ""]
    );
    // As a client its port says nothing.
    assert_eq!(
        far(&world.named(server("10.0.0.2:8080"))),
        ["node-2", "", ""]
    );
    // Two declare the port.
    object["metadata"]["uid"] = json!(uid(8));
    world.pod(object, &[], 3);
    assert_eq!(
        far(&world.named(client("10.0.0.2:8080", None))),
        ["node-2", "", ""]
    );
}

#[test]
fn a_client_that_this_node_translated_is_the_node() {
    let mut world = world();
    let row = world.named(server("10.0.0.1:50000"));
    assert_eq!(far(&row), ["node-1", "", ""]);
    assert!(
        row.remote.translated,
        "a process of this node would have been found"
    );
    let row = world.named(server("10.0.0.2:50000"));
    assert_eq!(far(&row), ["node-2", "", ""]);
    assert!(!row.remote.translated, "a process there may ask");
    // Where this end is behind a port of every node, the other node may have passed it on.
    for (node_port, translated) in [(0, false), (30_080, true)] {
        let spec =
            json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": node_port}]});
        world.service(9, "front", &spec, 8080, &[(1, "10.1.1.1")]);
        let row = world.named(server("10.0.0.2:50000"));
        assert_eq!(
            (far(&row)[0].as_str(), row.remote.translated),
            ("node-2", translated)
        );
    }
}

#[test]
fn the_api_server_is_one_also_where_it_is_no_pod() {
    let mut world = world();
    let endpoints = json!([{"addresses": ["10.0.0.2"]}, {"addresses": ["203.0.113.5"]}]);
    world.slice("default", 20, "kubernetes", 6443, endpoints);
    let row = world.named(client("10.0.0.2:6443", None));
    assert_eq!(far(&row), ["kube-apiserver", "", "default/kubernetes"]);
    assert_eq!(
        value(row.remote.entity.as_ref(), &Attr::K8sNodeName),
        "node-2"
    );
    let row = world.named(client("203.0.113.5:6443", None));
    assert_eq!(
        far(&row),
        ["kube-apiserver", "", "default/kubernetes"],
        "a managed one"
    );
}

#[test]
fn what_the_file_names_comes_after_the_cluster_and_external_last() {
    let mut world =
        of_file("networks = { \"10.1.0.0/16\" = \"pods\", \"10.9.0.0/16\" = \"office\" }");
    for (to, name) in [
        ("10.1.2.2:8080", "db"),
        ("10.1.77.7:80", "pods"),
        ("10.9.0.1:80", "office"),
        ("8.8.8.8:53", "external"),
        ("127.0.0.1:53", ""),
    ] {
        assert_eq!(far(&world.named(client(to, None)))[0], name, "{to}");
    }
}

#[test]
fn an_address_is_whose_it_was_when_the_connection_began() {
    let mut world = world();
    world.gone(2, 50);
    world.pod(pod(3, "10.1.2.2"), &[], 60);
    let mut row = client("10.1.2.2:8080", None);
    row.born = born(20);
    assert_eq!(far(&world.named(row.clone()))[1], "pod-2");
    row.born = born(90);
    assert_eq!(far(&world.named(row))[1], "pod-3");
}

#[test]
fn a_name_that_the_receiver_lent_is_given_back_where_the_address_is_another_s() {
    let mut world = world();
    world.gone(2, 50);
    let mut row = client("10.1.2.2:8080", None);
    row.remote.entity = Some(found(2, 2));
    row.error = Some(tapetum_model::ErrorType::Timeout);
    row.born = born(40);
    assert_eq!(far(&world.named(row.clone()))[1], "pod-2", "it was there");
    row.born = born(90);
    let named = world.process(vec![row.clone()], 100);
    assert_eq!(named.len(), 0, "the address may be somebody's by now");
    world.pod(pod(3, "10.1.2.2"), &[], 101);
    let named = world.process(Vec::new(), 101);
    assert_eq!(far(&named[0])[1], "pod-3");
    // One that was accepted is exact.
    row.error = None;
    assert_eq!(far(&world.named(row))[1], "pod-2");
}

#[test]
fn with_the_scope_of_a_node_far_ends_keep_their_addresses() {
    let mut world = World::with("");
    world.k8s.scope = crate::k8s::config::Scope::Node;
    world.pod(pod(1, "10.1.1.1"), &[], 1);
    let row = world.named(client("10.1.9.9:8080", None));
    assert_eq!(value(row.local.entity.as_ref(), &Attr::K8sPodName), "pod-1");
    assert_eq!(far(&row), ["", "", ""]);
}
