//! Objects as large as those of a real API server, with all the fields that nobody here reads.

use serde_json::{Value, json};

pub(crate) const PODS: u32 = 10_000;
pub(crate) const SERVICES: u32 = 2_000;
/// Pods a Deployment.
const REPLICAS: u32 = 5;
const NODES: u32 = 100;
const CONDITIONS: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// The Deployment of a pod.
pub(crate) fn set(pod: u32) -> u32 {
    pod / REPLICAS % SERVICES
}

pub(crate) fn uid(kind: u32, n: u32) -> String {
    format!("{n:08x}-{kind:04x}-4000-8000-1234567890ab")
}

pub(crate) fn address(n: u32) -> String {
    format!("10.{}.{}.{}", 64 + (n >> 16), (n >> 8) & 0xff, n & 0xff)
}

pub(crate) fn container_id(n: u32) -> String {
    format!(
        "{:064x}",
        u128::from(n) * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128
    )
    .chars()
    .rev()
    .collect()
}

/// `turn` changes what does not matter here: conditions and their times.
pub(crate) fn pod(n: u32, turn: u32) -> Value {
    let set = set(n);
    let name = format!("service-{set}-6c9f7d8b5-x{n:04}");
    let labels = json!({
        "app.kubernetes.io/name": format!("service-{set}"), "pod-template-hash": "6c9f7d8b5",
        "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/version": "1.2.3",
    });
    let settings: Vec<_> = (0..12)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": "some value of it"}))
        .collect();
    let conditions = CONDITIONS.map(|kind| {
        json!({
            "type": kind, "status": "True", "lastProbeTime": null,
            "lastTransitionTime": format!("2026-11-24T14:{:02}:{:02}Z", turn / 60 % 60, turn % 60),
        })
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": format!("team-{}", set % 40), "uid": uid(1, n),
            "creationTimestamp": "2026-11-24T14:00:00Z", "labels": labels,
            "annotations": {"prometheus.io/scrape": "true", "checksum/config": container_id(set)},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                "name": format!("service-{set}-6c9f7d8b5"), "uid": uid(2, set),
            }],
            "managedFields": managed_fields(),
        },
        "spec": {
            "nodeName": format!("node-{}", n % NODES), "serviceAccountName": "default",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300},
            ],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            ]}}],
            "containers": [{
                "name": "main", "image": format!("registry.example/shop/service-{set}:1.2.3"),
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "env": settings,
                "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "kube-api-access", "readOnly": true,
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
        },
        "status": {
            "phase": "Running", "startTime": "2026-11-24T14:00:01Z",
            "podIP": address(n), "podIPs": [{"ip": address(n)}],
            "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}],
            "conditions": conditions,
            "containerStatuses": [{
                "name": "main", "ready": true, "restartCount": 0, "started": true,
                "image": format!("registry.example/shop/service-{set}:1.2.3"),
                "imageID": format!("registry.example/shop/service-{set}@sha256:{}", container_id(set)),
                "containerID": format!("containerd://{}", container_id(n)),
                "state": {"running": {"startedAt": "2026-11-24T14:00:03Z"}},
            }],
        },
    })
}

pub(crate) fn replicaset(set: u32) -> Value {
    json!({
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("service-{set}-6c9f7d8b5"), "namespace": format!("team-{}", set % 40),
            "uid": uid(2, set),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "controller": true,
                "name": format!("service-{set}"), "uid": uid(3, set),
            }],
        },
    })
}

pub(crate) fn service(set: u32) -> Value {
    json!({
        "kind": "Service",
        "metadata": {
            "name": format!("service-{set}"), "namespace": format!("team-{}", set % 40), "uid": uid(4, set),
            "managedFields": managed_fields(),
        },
        "spec": {
            "clusterIP": format!("10.43.{}.{}", set >> 8, set & 0xff),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
            "selector": {"app.kubernetes.io/name": format!("service-{set}")},
        },
    })
}

pub(crate) fn slice(set: u32) -> Value {
    let pods = set * REPLICAS..(set + 1) * REPLICAS;
    let endpoints = pods.map(|n| {
        json!({
            "addresses": [address(n)], "nodeName": format!("node-{}", n % NODES),
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("x{n:04}"), "uid": uid(1, n)},
        })
    });
    json!({
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("service-{set}-abcde"), "namespace": format!("team-{}", set % 40),
            "uid": uid(5, set),
            "labels": {"kubernetes.io/service-name": format!("service-{set}")},
        },
        "addressType": "IPv4",
        "endpoints": endpoints.collect::<Vec<_>>(),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    })
}

pub(crate) fn node(n: u32) -> Value {
    json!({
        "kind": "Node",
        "metadata": {
            "name": format!("node-{n}"), "uid": uid(6, n),
            "labels": {"topology.kubernetes.io/zone": format!("zone-{}", n % 3)},
        },
        "status": {"addresses": [{"type": "InternalIP", "address": format!("192.0.2.{n}")}]},
    })
}

pub(crate) fn nodes() -> impl Iterator<Item = Value> {
    (0..NODES).map(node)
}

/// About 2 KB, as a controller and a kubelet leave them.
fn managed_fields() -> Value {
    let fields: Value = (0..24)
        .map(|n| {
            (
                format!("f:field-{n}"),
                json!({"f:name": {}, "f:value": {}, ".": {}}),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    ["kube-controller-manager", "kubelet"]
        .map(|manager| {
            json!({
                "manager": manager, "operation": "Update", "apiVersion": "v1",
                "time": "2026-11-24T14:00:05Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        })
        .to_vec()
        .into()
}
