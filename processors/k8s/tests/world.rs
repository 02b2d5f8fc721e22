//! A cluster that a test writes, and rows of it that go through `k8s`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tapetum_k8s::{Kind, Moment, Naming, Owner, State, Writer};
use tapetum_model::{Attr, Connection, Entity, Payload, Records, Role, Service, UnixNanos};
use tapetum_pipeline::{Flush, Now, Output, Telemetry};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{sample, settings};

use crate::k8s::K8s;
use crate::k8s::config::Config;

/// What is told within a test is told at the second that it says, after the epoch of the test clocks.
pub(super) struct World {
    pub(super) writer: Writer,
    pub(super) k8s: K8s,
    pub(super) telemetry: Telemetry,
    books: Books,
}

pub(super) fn uid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

pub(super) fn container_id(n: u32) -> String {
    format!("{n:08x}{:056x}", 0)
}

/// What the receiver says of an end in a pod's container: one pointer each.
pub(super) fn found(pod: u32, container: u32) -> Arc<Entity> {
    static FOUND: Mutex<BTreeMap<(u32, u32), Arc<Entity>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap();
    let entity = found.entry((pod, container)).or_insert_with(|| {
        Arc::new(Entity::new([
            (Attr::ServiceName, "comm".into()),
            (Attr::ContainerId, container_id(container).into()),
            (Attr::K8sPodUid, uid(pod).into()),
            (Attr::HostName, "host".into()),
        ]))
    });
    Arc::clone(entity)
}

/// A pod `pod-N` of `shop` on `node-1` with a container `main`, number N too, that declares 8080.
pub(super) fn pod(n: u32, ip: &str) -> Value {
    json!({
        "metadata": {"name": format!("pod-{n}"), "namespace": "shop", "uid": uid(n)},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "ports": [{"containerPort": 8080}]}]},
        "status": {
            "phase": "Running", "startTime": "2026-01-01T00:00:00Z", "podIPs": [{"ip": ip}], "hostIPs": [{"ip": "10.0.0.1"}], "hostIP": "10.0.0.1",
            "containerStatuses": [{"name": "main", "containerID": format!("containerd://{}", container_id(n))}],
        },
    })
}

pub(super) fn with(mut object: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

impl World {
    /// Two nodes, synced at second 0.
    pub(super) fn new() -> Self {
        Self::with("")
    }

    pub(super) fn with(options: &str) -> Self {
        let mut world = Self::unsynced(options);
        for (n, zone) in [(1, "a"), (2, "b")] {
            let node = json!({
                "metadata": {
                    "name": format!("node-{n}"), "uid": uid(0x1000 + n),
                    "labels": {"topology.kubernetes.io/zone": zone},
                },
                "status": {"addresses": [{"type": "InternalIP", "address": format!("10.0.0.{n}")}]},
            });
            world
                .writer
                .apply_node(&serde_json::from_value(node).unwrap());
        }
        world.stands(true, None);
        world.publish(0);
        world
    }

    pub(super) fn unsynced(options: &str) -> Self {
        let naming = Naming {
            cluster: "test".into(),
            ..Naming::default()
        };
        let (writer, index) = Writer::new(naming);
        let config: Config = settings(&format!(
            "node = \"node-1\"\nscope = \"cluster\"\n{options}"
        ))
        .read()
        .unwrap();
        let telemetry = Telemetry::default();
        let k8s = K8s::new(&config, Some(index), &telemetry).unwrap();
        Self {
            writer,
            k8s,
            telemetry,
            books: Books::default(),
        }
    }

    pub(super) fn stands(&mut self, synced: bool, behind_since: Option<u64>) {
        let behind_since = behind_since.map(|second| moment(second).unix);
        self.writer.stands(State {
            synced,
            behind_since,
        });
    }

    pub(super) fn publish(&mut self, second: u64) {
        self.writer.publish(at(second));
    }

    pub(super) fn pod(&mut self, object: Value, owners: &[Owner], second: u64) {
        let object = serde_json::from_value(object).unwrap();
        self.writer.apply_pod(&object, owners.to_vec(), at(second));
        self.publish(second);
    }

    pub(super) fn gone(&mut self, n: u32, second: u64) {
        let meta = serde_json::from_value(json!({"uid": uid(n)})).unwrap();
        self.writer.delete(Kind::Pods, &meta, at(second));
        self.publish(second);
    }

    /// A Service `NAME` of `shop` with this spec, and a slice of these backends at a port.
    pub(super) fn service(
        &mut self,
        n: u32,
        name: &str,
        spec: &Value,
        port: u16,
        pods: &[(u32, &str)],
    ) {
        let object = json!({
            "metadata": {"name": name, "namespace": "shop", "uid": uid(n)}, "spec": spec,
        });
        self.writer
            .apply_service(&serde_json::from_value(object).unwrap());
        let endpoint = |(pod, ip): &(u32, &str)| json!({"addresses": [ip], "targetRef": {"kind": "Pod", "uid": uid(*pod)}});
        self.slice("shop", n, name, port, pods.iter().map(endpoint).collect());
    }

    pub(super) fn slice(
        &mut self,
        namespace: &str,
        n: u32,
        service: &str,
        port: u16,
        endpoints: Value,
    ) {
        let object = json!({
            "metadata": {
                "name": format!("{service}-x"), "namespace": namespace, "uid": uid(n + 0x2000),
                "labels": {"kubernetes.io/service-name": service},
            },
            "ports": [{"port": port, "protocol": "TCP"}],
            "endpoints": endpoints,
        });
        self.writer
            .apply_endpoints(&serde_json::from_value(object).unwrap());
        self.publish(0);
    }

    /// The rows that leave at once.
    pub(super) fn process(&mut self, rows: Vec<Connection>, second: u64) -> Vec<Connection> {
        let out = self
            .books
            .process(&mut self.k8s, sample::batch(rows), moment(second));
        rows_of(out)
    }

    pub(super) fn flush(&mut self, why: Flush, now: Now) -> Vec<Connection> {
        rows_of(self.books.flush(&mut self.k8s, why, now))
    }

    pub(super) fn held(&self) -> u64 {
        self.books.held
    }

    pub(super) fn unnamed(&self, reason: &str) -> u64 {
        let labels = [(Attr::Reason, reason)];
        let counter = self
            .telemetry
            .counter(tapetum_model::Metric::K8sUnnamed, &labels);
        counter.value()
    }

    /// What a row becomes that leaves at once.
    pub(super) fn named(&mut self, row: Connection) -> Connection {
        let mut rows = self.process(vec![row], 100);
        assert_eq!((rows.len(), self.held()), (1, 0), "{rows:?}");
        rows.remove(0)
    }
}

fn rows_of(out: Output) -> Vec<Connection> {
    let payloads = out.batches.into_iter().map(|batch| batch.payload);
    let rows = payloads.map(|payload| match payload {
        Payload::Records(Records::Connections(rows)) => rows.into_vec(),
        _ => panic!("records"),
    });
    rows.flatten().collect()
}

pub(super) fn at(second: u64) -> Moment {
    Moment::fresh(moment(second).unix)
}

/// A client here in pod 1, that asked `asked` at a second, and was answered by another if that says so.
pub(super) fn client(asked: &str, answered_by: Option<&str>) -> Connection {
    let mut row = sample::connection(0);
    row.role = Role::Client;
    row.born = born(99);
    row.local = tapetum_model::End {
        entity: Some(found(1, 1)),
        ..tapetum_model::End::of("10.1.1.1:40000".parse().unwrap())
    };
    row.remote = tapetum_model::End::of(asked.parse().unwrap());
    row.answered_by = answered_by.map(|address| address.parse().unwrap());
    row
}

/// A server here in pod 1, asked by `client`.
pub(super) fn server(client: &str) -> Connection {
    let mut row = self::client(client, None);
    row.role = Role::Server;
    row.local.address = "10.1.1.1:8080".parse().unwrap();
    row
}

pub(super) fn born(second: u64) -> UnixNanos {
    moment(second).unix
}

pub(super) fn value(entity: Option<&Arc<Entity>>, attr: &Attr) -> String {
    let value = entity.and_then(|entity| entity.attribute(attr));
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Name of the far end's workload, pod and Service, as far as they are known.
pub(super) fn far(row: &Connection) -> [String; 3] {
    let entity = row.remote.entity.as_ref();
    let service = row.remote.service.as_deref();
    [
        value(entity, &Attr::ServiceName),
        value(entity, &Attr::K8sPodName),
        service
            .map(|Service { namespace, name }| format!("{namespace}/{name}"))
            .unwrap_or_default(),
    ]
}
