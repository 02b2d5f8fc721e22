//! What a name costs: look-ups in the index, without and with a change between.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapetum_benches::{figure, note, timed};
use tapetum_k8s::object::Pod;
use tapetum_k8s::{Moment, Naming, Owner, Snapshot, Transport, Writer};
use tapetum_model::{End, Entity, UnixNanos};

use crate::objects::{PODS, SERVICES, address, container_id, pod, service, set, slice};

/// Records of a batch.
const RECORDS: usize = 4_096;
const RUNS: usize = 300;
const NOW: UnixNanos = UnixNanos(1_795_530_000_000_000_000);

pub(crate) fn look_up() {
    let now = Moment::fresh(NOW);
    let (mut writer, index) = Writer::new(Naming::default());
    for n in 0..PODS {
        let object = serde_json::from_value(pod(n, 0)).expect("a pod");
        writer.apply_pod(&object, owners(set(n)), now);
    }
    for n in 0..SERVICES {
        writer.apply_service(&serde_json::from_value(service(n)).expect("a Service"));
        writer.apply_endpoints(&serde_json::from_value(slice(n)).expect("a slice"));
    }
    writer.publish(now);
    let snapshot = index.snapshot();

    // Every record has another far end: nothing of it is in the nearest cache.
    let pods = (0..RECORDS as u32).map(|n| n * 7_919 % PODS);
    let mut ends: Vec<End> = pods.clone().map(|n| end(&address(n), 8_080)).collect();
    let record = |taken: Duration| taken.as_nanos() as f64 / RECORDS as f64;
    let (least, middle) = timed(RUNS, || far(&index.snapshot(), &mut ends));
    figure(
        "a far end by address and time",
        record(least),
        "ns/record",
        20.0,
    );
    note("  in the middle of many runs", record(middle), "ns/record");
    let named = ends.iter().filter(|end| end.entity.is_some()).count();
    assert_eq!(named, RECORDS, "every address has a name");

    let asked: Vec<_> = (0..RECORDS as u32)
        .map(|n| end(&format!("10.43.{}.{}", (n % SERVICES) >> 8, n & 0xff), 80).address)
        .collect();
    let (least, _) = timed(RUNS, || {
        let found = asked
            .iter()
            .filter(|address| black_box(snapshot.service(**address, Transport::Tcp)).is_some());
        found.count()
    });
    note(
        "  the Service of a virtual address",
        record(least),
        "ns/record",
    );
    let ids: Vec<String> = pods.map(container_id).collect();
    let (least, _) = timed(RUNS, || {
        let found = ids
            .iter()
            .filter(|id| black_box(snapshot.container(id)).is_some());
        found.count()
    });
    note("  the container of an id", record(least), "ns/record");

    let changes = (0..RUNS as u32).map(|turn| {
        let n = turn * 31 % PODS;
        let mut object: Pod = serde_json::from_value(pod(n, 0)).expect("a pod");
        object.status.pod_ips[0].ip = address(PODS + turn);
        // As if readers held the snapshot before.
        let _held = index.snapshot();
        let begun = Instant::now();
        writer.apply_pod(&object, owners(set(n)), now);
        writer.publish(now);
        begun.elapsed()
    });
    let least = changes.min().unwrap_or_default();
    note(
        "a change of a pod, until readers see it",
        least.as_nanos() as f64 / 1e3,
        "us",
    );
}

fn far(snapshot: &Snapshot, ends: &mut [End]) {
    for end in ends {
        let holder = snapshot.pod_at(end.address.ip(), NOW).pod();
        let entity: Option<&Arc<Entity>> = holder.map(|pod| &pod.entity);
        // The pointer is copied as the processor copies it; the former one is let go.
        end.entity = entity.cloned();
    }
}

fn owners(set: u32) -> [Owner; 2] {
    [
        Owner::new("apps/v1", "ReplicaSet", format!("service-{set}-6c9f7d8b5")),
        Owner::new("apps/v1", "Deployment", format!("service-{set}")),
    ]
}

fn end(address: &str, port: u16) -> End {
    let ip: IpAddr = address.parse().expect("an address");
    End::of((ip, port).into())
}
