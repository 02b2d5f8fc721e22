//! Records -> named records, by the index of a cluster of 10 000 pods and 2 000 Services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapetum_benches::{Counting, figure, note};
use tapetum_k8s::{Index, Moment, Naming, Owner, State, Writer};
use tapetum_model::{Attr, Batch, Connection, End, Entity, Payload, Records, Role};
use tapetum_pipeline::{Output, Processor};
use tapetum_processors::k8s::K8s;
use tapetum_testkit::contract::moment;
use tapetum_testkit::{context, sample, settings};

const PODS: u32 = 10_000;
const SERVICES: u32 = 2_000;
/// Containers on this node.
const LOCAL: u32 = 110;
const RECORDS: usize = 4_096;
const RUNS: usize = 300;

/// Makes the record of a number.
type Make = fn(u64) -> Connection;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() {
    let index = cluster();
    let settings = settings("node = \"node-0\"\nscope = \"cluster\"");
    let mut named = K8s::over(index, &settings, &context("k8s")).expect("its settings are right");
    println!("naming by an index of {PODS} pods and {SERVICES} Services");
    let kinds: [(&str, Make); 3] = [
        ("both ends on this node", joined),
        ("a pod elsewhere, by its address", elsewhere),
        ("a pod elsewhere, behind a Service", behind),
    ];
    for (what, row) in kinds {
        let batch = sample::batch((0..RECORDS as u64).map(row).collect());
        let taken = least(&mut named, &batch).as_nanos() as f64 / RECORDS as f64;
        if what == "both ends on this node" {
            figure(what, taken, "ns/record", 20.0);
        } else {
            note(what, taken, "ns/record");
        }
        let copy = batch.clone();
        let (allocations, _) = ALLOCATOR.during(|| take(&mut named, copy));
        figure("  allocations a batch", allocations as f64, "", 8.0);
    }
}

fn least(named: &mut K8s, batch: &Batch) -> Duration {
    let runs = (0..RUNS).map(|_| take(named, batch.clone()));
    runs.min().unwrap_or_default()
}

fn take(named: &mut K8s, batch: Batch) -> Duration {
    let mut out = Output::default();
    let begun = Instant::now();
    named.process(batch, moment(1_000), &mut out);
    let taken = begun.elapsed();
    let all = out.batches.iter().map(Batch::items).sum::<u64>();
    assert_eq!(all, RECORDS as u64, "nobody waits");
    for batch in &out.batches {
        let Payload::Records(Records::Connections(rows)) = &batch.payload else {
            unreachable!("records")
        };
        let is_named = |end: &End| {
            end.entity
                .as_ref()
                .is_some_and(|it| it.attribute(&Attr::K8sPodName).is_some())
        };
        assert!(
            rows.iter()
                .all(|row| is_named(&row.local) && is_named(&row.remote))
        );
    }
    taken
}

fn uid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

fn ip(n: u32) -> IpAddr {
    let [_, a, b, c] = n.to_be_bytes();
    Ipv4Addr::new(10, 100 + a, b, c).into()
}

fn cluster() -> Index {
    let (mut writer, index) = Writer::new(Naming::default());
    let now = Moment::fresh(moment(1).unix);
    for n in 0..PODS {
        let container = format!("containerd://{n:08x}{:056x}", 0);
        let pod = json!({
            "metadata": {"name": format!("pod-{n}"), "namespace": "shop", "uid": uid(n)},
            "spec": {"nodeName": format!("node-{}", n / LOCAL), "containers": [{"name": "main", "ports": [{"containerPort": 8080}]}]},
            "status": {
                "phase": "Running", "podIPs": [{"ip": ip(n)}], "startTime": "2026-01-01T00:00:00Z",
                "containerStatuses": [{"name": "main", "containerID": container}],
            },
        });
        let owner = Owner::new("apps/v1", "Deployment", format!("web-{}", n % 1_000));
        writer.apply_pod(&serde_json::from_value(pod).expect("a pod"), [owner], now);
    }
    for n in 0..SERVICES {
        let of = |object: Value| object;
        let service = of(json!({
            "metadata": {"name": format!("web-{n}"), "namespace": "shop", "uid": uid(n + 0x10_0000)},
            "spec": {"clusterIP": virtual_ip(n), "ports": [{"port": 80}]},
        }));
        writer.apply_service(&serde_json::from_value(service).expect("a Service"));
        let endpoints: Vec<Value> = (0..5)
            .map(|of| n * 5 + of)
            .map(|pod| json!({"addresses": [ip(pod)], "targetRef": {"kind": "Pod", "uid": uid(pod)}}))
            .collect();
        let slice = json!({
            "metadata": {
                "name": format!("web-{n}-x"), "namespace": "shop", "uid": uid(n + 0x20_0000),
                "labels": {"kubernetes.io/service-name": format!("web-{n}")},
            },
            "ports": [{"port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        });
        writer.apply_endpoints(&serde_json::from_value(slice).expect("a slice"));
    }
    writer.stands(State {
        synced: true,
        behind_since: None,
    });
    writer.publish(now);
    index
}

fn virtual_ip(n: u32) -> IpAddr {
    let [_, _, b, c] = n.to_be_bytes();
    Ipv4Addr::new(10, 96, b, c).into()
}

/// What the receiver says of a container of this node.
fn found(n: u64) -> Arc<Entity> {
    static FOUND: std::sync::LazyLock<Vec<Arc<Entity>>> = std::sync::LazyLock::new(|| {
        let found = |n: u32| {
            Arc::new(Entity::new([
                (Attr::ServiceName, "comm".into()),
                (Attr::ContainerId, format!("{n:08x}{:056x}", 0).into()),
                (Attr::K8sPodUid, uid(n).into()),
            ]))
        };
        (0..LOCAL).map(found).collect()
    });
    Arc::clone(&FOUND[(n % u64::from(LOCAL)) as usize])
}

/// A number that looks like chance and is the same at every run.
fn some(n: u64) -> u32 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as u32
}

fn row(n: u64) -> Connection {
    let mut row = sample::connection(0);
    row.role = Role::Client;
    row.born = moment(900).unix;
    row.local = End {
        entity: Some(found(some(n).into())),
        ..End::of(SocketAddr::new(ip(some(n) % LOCAL), 40_000))
    };
    row.answered_by = None;
    row
}

fn joined(n: u64) -> Connection {
    let mut row = row(n);
    let far = some(n + 7) % LOCAL;
    row.role = Role::Server;
    row.remote = End {
        entity: Some(found(far.into())),
        ..End::of(SocketAddr::new(ip(far), 50_000))
    };
    row
}

fn elsewhere(n: u64) -> Connection {
    let mut row = row(n);
    row.remote = End::of(SocketAddr::new(ip(some(n + 7) % PODS), 8_080));
    row
}

fn behind(n: u64) -> Connection {
    let mut row = row(n);
    let pod = some(n + 7) % PODS;
    row.remote = End::of(SocketAddr::new(virtual_ip(pod / 5), 80));
    row.answered_by = Some(SocketAddr::new(ip(pod), 8_080));
    row
}
