//! What both ends say of connections that are seen whole: bytes, ids, names, each exactly once.

use std::collections::HashMap;
use std::time::Duration;

use tapetum_model::{Connection, EndReason, Flags, Role};

use crate::agent::Agent;
use crate::net::Net;
use crate::{SERVER, client, closed, name, ready};

/// A client's last span agrees with the one that the other end sent.
fn same_connection(asked: &Connection, servers: &[Connection], server_pid: u32) {
    let answered = servers
        .iter()
        .find(|row| row.trace == asked.trace)
        .expect("one trace at both ends");
    assert_eq!(answered.parent, Some(asked.span));
    let (to, back) = (asked.total, answered.total);
    assert_eq!(
        (to.bytes_sent, to.bytes_received),
        (back.bytes_received, back.bytes_sent)
    );
    assert_eq!(
        answered.process.as_ref().map(|process| process.pid),
        Some(server_pid)
    );
    assert_eq!(
        (asked.end_reason, answered.end_reason),
        (Some(EndReason::Fin), Some(EndReason::Fin))
    );
    assert!(
        asked.handshake_us > 0 && asked.rtt_smoothed_us > 0,
        "{asked:?}"
    );
    assert_eq!(name(&asked.remote), name(&answered.local));
    assert_eq!(name(&answered.remote), name(&asked.local));
    assert!(name(&asked.local).is_some());
}

#[test]
fn bytes_ids_and_names_of_both_ends_through_a_virtual_ip() {
    if !ready() {
        return;
    }
    let net = Net::new();
    let mut server = net.start("b", SERVER);
    let mut agent = Agent::start();
    for (ip, port, bytes) in [
        (net.virtual_ip(), 80, 300_001),
        (net.ip(2), 8080, 1),
        (net.ipv6(2), 8080, 5_000_000),
    ] {
        assert_eq!(
            net.python("a", &client(&ip, port, bytes)),
            (2 * bytes).to_string()
        );
    }
    assert_eq!(server.ask("counts"), "5300002 3");
    agent.until("three closes at both ends", |agent| {
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        closed(&clients) == 3 && closed(&servers) == 3
    });
    assert!(agent.stop() < Duration::from_secs(1));
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    let mut sent: Vec<_> = clients
        .iter()
        .map(|row| (row.total.bytes_sent, row.total.bytes_received))
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [(1, 2), (300_001, 600_002), (5_000_000, 10_000_000)]);
    for asked in &clients {
        same_connection(asked, &servers, server.pid());
    }
    let asked = clients
        .iter()
        .find(|row| row.total.bytes_sent == 300_001)
        .unwrap();
    assert_eq!(
        asked.remote.address.to_string(),
        format!("{}:80", net.virtual_ip())
    );
    assert_eq!(
        asked.answered_by.map(|who| who.to_string()),
        Some(format!("{}:8080", net.ip(2)))
    );
    // What metrics add up is the same.
    let rows = agent.rows(|ip| net.has(ip));
    let total = |role| {
        rows.iter()
            .filter(|row| row.role == role)
            .map(|row| row.delta.bytes_sent)
            .sum::<u64>()
    };
    assert_eq!(
        (total(Role::Client), total(Role::Server)),
        (5_300_002, 10_600_004)
    );
    for flag in [Flags::OPENED, Flags::CLOSED, Flags::ACTIVE, Flags::INACTIVE] {
        assert_eq!(
            rows.iter().filter(|row| row.flags.has(flag)).count(),
            6,
            "{flag:?}"
        );
    }
}

#[test]
fn ten_thousand_short_connections_are_each_told_once_at_each_end() {
    if !ready() {
        return;
    }
    let net = Net::new();
    let _server = net.start("b", SERVER);
    let mut agent = Agent::start();
    let code = format!(
        "import socket\nfor n in range(10000):\n    c = socket.create_connection(('{}', 8080)); c.send(b'12345'); \
         c.shutdown(1)\n    while c.recv(99): pass\n    c.close()\n",
        net.ip(2)
    );
    net.python("a", &code);
    agent.until("all closes", |agent| {
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        clients.len() >= 10_000 && servers.len() >= 10_000
    });
    agent.stop();
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    assert_eq!((clients.len(), servers.len()), (10_000, 10_000));
    let mut ends: HashMap<_, u32> = HashMap::new();
    for row in clients.iter().chain(&servers) {
        assert_eq!(
            (row.end_reason, row.flags.has(Flags::CLOSED)),
            (Some(EndReason::Fin), true)
        );
        *ends.entry(row.trace).or_default() += 1;
    }
    assert_eq!(ends.len(), 10_000);
    assert!(
        ends.values().all(|count| *count == 2),
        "every trace has both of its ends"
    );
    assert!(
        clients
            .iter()
            .all(|row| row.period.bytes_sent == 5 && row.period.bytes_received == 10)
    );
    assert!(
        servers
            .iter()
            .all(|row| row.remote.entity.is_some() && row.period.bytes_sent == 10)
    );
    assert!(agent.batches().iter().all(|batch| batch.loss.ring == 0));
    let windows: Vec<_> = agent.batches().iter().map(|batch| batch.window).collect();
    assert!(
        windows.windows(2).all(|two| two[0].end == two[1].start),
        "windows follow on each other"
    );
}
