//! A writer, and objects for it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tapetum_k8s::{Index, Kind, Moment, Naming, Owner, Snapshot, Writer};
use tapetum_model::{Attr, Entity, UnixNanos};

/// 2026-11-24T14:00:00Z, when every pod of these tests is taken up.
pub(crate) const START: &str = "2026-11-24T14:00:00Z";
pub(crate) const BEGIN: UnixNanos = UnixNanos(1_795_528_800_000_000_000);

pub(crate) fn at(seconds: u64) -> Moment {
    Moment::fresh(BEGIN.plus(Duration::from_secs(seconds)))
}

pub(crate) fn uid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

pub(crate) fn container_id(n: u32) -> String {
    format!("{n:064x}")
}

pub(crate) fn pod(n: u32, ip: &str) -> Value {
    json!({
        "metadata": {"name": format!("pod-{n}"), "namespace": "shop", "uid": uid(n)},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running", "startTime": START, "podIPs": [{"ip": ip}],
            "containerStatuses": [{"name": "main", "containerID": format!("containerd://{}", container_id(n))}],
        },
    })
}

pub(crate) fn with(mut object: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').expect("a path");
    object.pointer_mut(parent).expect("it is there")[key] = value;
    object
}

pub(crate) struct World {
    pub(crate) writer: Writer,
    pub(crate) index: Index,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::named(Naming::default())
    }

    pub(crate) fn named(naming: Naming) -> Self {
        let (writer, index) = Writer::new(naming);
        Self { writer, index }
    }

    pub(crate) fn pod(&mut self, object: Value, now: Moment) -> Arc<Snapshot> {
        self.owned(object, [], now)
    }

    pub(crate) fn owned<const N: usize>(
        &mut self,
        object: Value,
        owners: [Owner; N],
        now: Moment,
    ) -> Arc<Snapshot> {
        let object = serde_json::from_value(object).expect("a pod");
        self.writer.apply_pod(&object, owners, now);
        self.publish(now)
    }

    pub(crate) fn gone(&mut self, n: u32, now: Moment) -> Arc<Snapshot> {
        let meta = serde_json::from_value(json!({"uid": uid(n)})).expect("metadata");
        self.writer.delete(Kind::Pods, &meta, now);
        self.publish(now)
    }

    pub(crate) fn service(&mut self, object: Value) {
        self.writer
            .apply_service(&serde_json::from_value(object).expect("a Service"));
    }

    pub(crate) fn slice(&mut self, n: u32, service: &str, port: u16, endpoints: Value) {
        let slice = json!({
            "metadata": {
                "name": format!("{service}-{n}"), "namespace": "shop", "uid": uid(n),
                "labels": {"kubernetes.io/service-name": service},
            },
            "ports": [{"port": port, "protocol": "TCP"}],
            "endpoints": endpoints,
        });
        self.writer
            .apply_endpoints(&serde_json::from_value(slice).expect("a slice"));
    }

    pub(crate) fn node(&mut self, n: u32, zone: &str, ip: &str) {
        let node = json!({
            "metadata": {
                "name": format!("node-{n}"), "uid": uid(0x1000 + n),
                "labels": {"topology.kubernetes.io/zone": zone},
            },
            "status": {"addresses": [
                {"type": "InternalIP", "address": ip},
                {"type": "Hostname", "address": format!("node-{n}")},
            ]},
        });
        self.writer
            .apply_node(&serde_json::from_value(node).expect("a node"));
    }

    pub(crate) fn publish(&mut self, now: Moment) -> Arc<Snapshot> {
        self.writer.publish(now);
        self.index.snapshot()
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn door(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

pub(crate) fn value(entity: &Entity, attr: Attr) -> Option<&str> {
    entity.attribute(&attr).map(|value| &**value)
}

pub(crate) fn holder(snapshot: &Snapshot, address: &str, then: Moment) -> Option<String> {
    let holder = snapshot.pod_at(ip(address), then.at);
    holder.pod().map(|pod| pod.name.to_string())
}
