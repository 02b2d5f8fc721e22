//! Connection rows that look real and are the same at every run: 100 workloads of three pods each,
//! of which every row joins two.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tapetum_model::{
    Attr, Batch, Connection, Counters, End, EndReason, Entity, ErrorType, Flags, Loss, Origin,
    Payload, Process, Records, ResetOrigin, Role, Service, SpanId, TraceId, Window,
};

use crate::clock::EPOCH;

/// How many different entities there are.
pub const ENTITIES: u64 = 300;

static POPULATION: LazyLock<Vec<Arc<Entity>>> =
    LazyLock::new(|| (0..ENTITIES).map(|n| Arc::new(describe(n))).collect());
static SERVICES: LazyLock<Vec<Arc<Service>>> = LazyLock::new(|| {
    (0..ENTITIES / 3)
        .map(|n| {
            Arc::new(Service {
                namespace: namespace(n).into(),
                name: format!("{}-{n}", ROLES[n as usize % ROLES.len()]).into(),
            })
        })
        .collect()
});
static PROCESS: LazyLock<Arc<Process>> = LazyLock::new(|| {
    Arc::new(Process {
        pid: 4242,
        executable: "checkout".into(),
    })
});

const ROLES: [&str; 6] = ["web", "api", "cart", "payments", "search", "cache"];
const PORTS: [u16; 4] = [443, 8080, 5432, 6379];

/// The `n`th entity; the same `n` gives the same one, shared.
#[must_use]
pub fn entity(n: u64) -> Arc<Entity> {
    Arc::clone(&POPULATION[(n % ENTITIES) as usize])
}

/// The `n`th row. What it is follows from `n`: of 16 rows, 8 are a client's last span, 5 a server's
/// (odd ones), 1 a refused connect (3), 1 a row of a sweep that is no span (7), and 1 the last span
/// of a connection that had earlier ones (15).
#[must_use]
pub fn connection(n: u64) -> Connection {
    let kind = n % 16;
    let role = match kind {
        1 | 5 | 9 | 11 | 13 => Role::Server,
        _ => Role::Client,
    };
    let (near, far) = (n % ENTITIES, (n * 7 + 1) % ENTITIES);
    let port = PORTS[(n % 4) as usize];
    let ephemeral = 32_768 + (n % 28_000) as u16;
    let (near_port, far_port) = match role {
        Role::Client => (ephemeral, port),
        Role::Server => (port, ephemeral),
    };
    let mut remote = end(far, far_port);
    let mut answered_by = None;
    if role == Role::Client && n.is_multiple_of(2) {
        remote.service = Some(Arc::clone(&SERVICES[(far / 3) as usize]));
        remote.address = SocketAddr::from(([10, 43, (far / 3) as u8, 1], port));
        answered_by = Some(address(far, port));
    }
    let start = EPOCH.plus(Duration::from_micros(n * 100));
    let end_time = start.plus(Duration::from_millis(20 + n % 500));
    let measures = counters(n);
    let mut row = Connection {
        local: end(near, near_port),
        remote,
        answered_by,
        role,
        process: Some(Arc::clone(&PROCESS)),
        trace: TraceId((u128::from(scatter(n)) << 64 | u128::from(scatter(!n))).to_be_bytes()),
        span: SpanId(scatter(n ^ 0x5eed).to_be_bytes()),
        parent: (role == Role::Server).then(|| SpanId(scatter(n ^ 0xdad).to_be_bytes())),
        link: None,
        start,
        end: end_time,
        born: start,
        flags: Flags::SPAN | Flags::OPENED | Flags::ESTABLISHED | Flags::CLOSED | Flags::RTT,
        error: None,
        end_reason: Some(EndReason::Fin),
        reset_by: None,
        delta: measures,
        period: measures,
        total: measures,
        rtt_smoothed_us: 180 + (n % 900) as u32,
        rtt_min_us: 120 + (n % 100) as u32,
        rtt_variance_us: 40,
        handshake_us: 210 + (n % 300) as u32,
        reordering: 0,
    };
    if role == Role::Server {
        row.flags |= Flags::REMOTE_PARENT;
    }
    match kind {
        3 => refuse(&mut row),
        7 => sweep(&mut row),
        15 => continued(&mut row),
        _ => {}
    }
    row
}

/// A batch of the first `count` rows.
#[must_use]
pub fn connections(count: usize) -> Batch {
    batch((0..count as u64).map(connection).collect())
}

/// A batch of these rows, as a kernel receiver hands it over.
#[must_use]
pub fn batch(rows: Vec<Connection>) -> Batch {
    let end = rows.iter().map(|row| row.end).max().unwrap_or(EPOCH);
    Batch {
        payload: Payload::Records(Records::Connections(rows.into())),
        window: Window { start: EPOCH, end },
        loss: Loss::default(),
        origin: Origin::Kernel,
    }
}

fn refuse(row: &mut Connection) {
    row.flags = Flags::SPAN | Flags::OPENED | Flags::CLOSED | Flags::FAILED;
    row.error = Some(ErrorType::ConnectionRefused);
    row.end_reason = Some(EndReason::RstReceived);
    row.reset_by = Some(ResetOrigin::Remote);
    row.parent = None;
    row.delta = Counters {
        packets_sent: 1,
        packets_received: 1,
        ..Counters::default()
    };
    (row.period, row.total) = (row.delta, row.delta);
    (row.rtt_smoothed_us, row.rtt_min_us, row.rtt_variance_us) = (0, 0, 0);
    row.handshake_us = 0;
}

fn sweep(row: &mut Connection) {
    row.flags = Flags::OPENED | Flags::ESTABLISHED | Flags::ACTIVE | Flags::RTT;
    row.end_reason = None;
}

fn continued(row: &mut Connection) {
    row.flags = Flags::SPAN | Flags::CLOSED | Flags::TOTALS | Flags::INACTIVE | Flags::RTT;
    row.parent = Some(SpanId([9; 8]));
    row.born = EPOCH;
    row.handshake_us = 0;
    row.total.bytes_sent += 1_000_000;
    row.total.packets_sent += 700;
}

fn counters(n: u64) -> Counters {
    Counters {
        bytes_sent: 300 + n % 1_000,
        bytes_received: 4_000 + (n * 37) % 100_000,
        packets_sent: 6 + n % 10,
        packets_received: 8 + n % 80,
        retransmits: u64::from(n.is_multiple_of(11)),
        bytes_retransmitted: if n.is_multiple_of(11) { 1_448 } else { 0 },
        rwnd_limited_ns: 0,
        sndbuf_limited_ns: 0,
    }
}

fn end(entity_n: u64, port: u16) -> End {
    End {
        entity: Some(entity(entity_n)),
        ..End::of(address(entity_n, port))
    }
}

fn address(entity_n: u64, port: u16) -> SocketAddr {
    let ip = Ipv4Addr::new(10, 42, (entity_n / 250) as u8, (entity_n % 250 + 2) as u8);
    SocketAddr::new(IpAddr::V4(ip), port)
}

fn namespace(workload: u64) -> &'static str {
    ["shop", "data", "infra"][(workload % 3) as usize]
}

fn describe(n: u64) -> Entity {
    let workload = n / 3;
    let name = format!("{}-{workload}", ROLES[workload as usize % ROLES.len()]);
    let pod = format!("{name}-7d4b9c6f5-{:05x}", scatter(n) & 0xf_ffff);
    let namespace = namespace(workload);
    let text = |value: &str| Arc::<str>::from(value);
    Entity::new([
        (Attr::ServiceName, text(&name)),
        (Attr::ServiceNamespace, text(namespace)),
        (
            Attr::ServiceInstanceId,
            text(&format!("{namespace}.{pod}.{name}")),
        ),
        (Attr::K8sNamespaceName, text(namespace)),
        (Attr::K8sPodName, text(&pod)),
        (
            Attr::K8sPodUid,
            text(&format!("5f0c1d2e-0000-4000-8000-{n:012x}")),
        ),
        (Attr::K8sContainerName, text(&name)),
        (Attr::K8sNodeName, text(&format!("node-{}", n % 5))),
        (Attr::K8sDeploymentName, text(&name)),
        (Attr::K8sWorkloadName, text(&name)),
        (Attr::K8sWorkloadKind, text("Deployment")),
        (Attr::Zone, text(["a", "b", "c"][(n % 3) as usize])),
        (
            Attr::ContainerId,
            text(&format!("{:016x}{:016x}", scatter(n), scatter(n + 1))),
        ),
        (Attr::HostName, text(&format!("node-{}", n % 5))),
    ])
}

/// A number that looks random and is not (the finalizer of splitmix64).
pub(crate) fn scatter(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_at_every_call_and_share_their_entities() {
        assert_eq!(connection(5), connection(5));
        let (first, again) = (connection(0), connection(ENTITIES));
        let near = |row: &Connection| row.local.entity.clone().expect("every end is named");
        assert!(Arc::ptr_eq(&near(&first), &near(&again)));
    }

    #[test]
    fn a_batch_has_rows_of_every_kind() {
        let batch = connections(64);
        assert_eq!(batch.items(), 64);
        let Payload::Records(records) = &batch.payload else {
            panic!("records")
        };
        let spans: Vec<_> = (0..64)
            .filter_map(|row| records.as_rows().trace(row))
            .collect();
        assert_eq!(spans.len(), 60);
        assert_eq!(spans.iter().filter(|span| span.error).count(), 4);
    }
}
