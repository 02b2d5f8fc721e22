//! Which Service is behind an address.

use serde_json::{Value, json};
use tapetum_k8s::{Kind, Transport};

use crate::world::{World, at, door, pod, uid};

#[test]
fn a_service_is_found_by_each_of_its_addresses() {
    let mut world = World::new();
    world.service(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": uid(50)},
        "spec": {
            "clusterIP": "10.43.0.10", "clusterIPs": ["10.43.0.10", "fd00::10"],
            "externalIPs": ["198.51.100.7"],
            "ports": [{"port": 80, "nodePort": 30080}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}, {"hostname": "lb.example"}]}},
    }));
    world.service(json!({
        "metadata": {"name": "db", "namespace": "shop", "uid": uid(51)},
        "spec": {"clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 5432}]},
    }));
    let snapshot = world.publish(at(1));
    for address in [
        "10.43.0.10:80",
        "[fd00::10]:80",
        "198.51.100.7:80",
        "203.0.113.9:80",
    ] {
        let service = snapshot.service(door(address), Transport::Tcp);
        assert_eq!(
            service.map(|service| &*service.name),
            Some("web"),
            "{address}"
        );
    }
    assert!(
        snapshot
            .service(door("10.43.0.10:81"), Transport::Tcp)
            .is_none()
    );
    assert!(
        snapshot
            .service(door("10.43.0.10:80"), Transport::Udp)
            .is_none()
    );
    let service = snapshot.node_port(30080, Transport::Tcp);
    assert_eq!(service.map(|service| &*service.name), Some("web"));
    let meta = serde_json::from_value(json!({"uid": uid(50)})).expect("metadata");
    world.writer.delete(Kind::Services, &meta, at(2));
    let snapshot = world.publish(at(2));
    assert!(
        snapshot
            .service(door("10.43.0.10:80"), Transport::Tcp)
            .is_none()
    );
    assert!(snapshot.node_port(30080, Transport::Tcp).is_none());
}

#[test]
fn a_backend_has_a_service_only_if_it_is_one() {
    let endpoint =
        |n| json!([{"addresses": ["10.1.0.7"], "targetRef": {"kind": "Pod", "uid": uid(n)}}]);
    let mut world = World::new();
    world.pod(pod(1, "10.1.0.7"), at(1));
    world.pod(pod(2, "10.1.0.8"), at(1));
    world.slice(60, "web", 8080, endpoint(1));
    world.slice(61, "web", 8080, endpoint(1));
    world.slice(62, "empty", 8080, Value::Null);
    let snapshot = world.publish(at(2));
    let one = snapshot.pod(&uid(1)).expect("it lives");
    let other = snapshot.pod(&uid(2)).expect("it lives");
    let address = door("10.1.0.7:8080");
    let service = snapshot.backend(address, Transport::Tcp, Some(one));
    assert_eq!(service.map(|service| &*service.name), Some("web"));
    assert!(snapshot.backend(address, Transport::Tcp, None).is_some());
    assert!(
        snapshot
            .backend(address, Transport::Tcp, Some(other))
            .is_none(),
        "the slice means the pod that had the address before"
    );
    world.slice(63, "canary", 8080, endpoint(1));
    let snapshot = world.publish(at(3));
    assert!(snapshot.backend(address, Transport::Tcp, None).is_none());
    world.slice(63, "canary", 9090, endpoint(1));
    let snapshot = world.publish(at(4));
    assert!(snapshot.backend(address, Transport::Tcp, None).is_some());
}

#[test]
fn the_api_server_is_known_by_its_own_service() {
    let mut world = World::new();
    let slice = json!({
        "metadata": {
            "name": "kubernetes", "namespace": "default", "uid": uid(70),
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "ports": [{"port": 6443}],
        "endpoints": [{"addresses": ["192.0.2.1"]}],
    });
    world
        .writer
        .apply_endpoints(&serde_json::from_value(slice).expect("a slice"));
    let snapshot = world.publish(at(1));
    assert!(snapshot.is_api_server(door("192.0.2.1:6443")));
    assert!(!snapshot.is_api_server(door("192.0.2.1:443")));
}
