//! Connections that are older than the agent, outlive it, or last longer than an interval.

use std::time::Duration;

use tapetum_model::{Flags, Role};

use crate::agent::Agent;
use crate::net::Net;
use crate::{SERVER, client, closed, name, ready, skip};

/// A connection that lives as long as the process, and sends as much as it is told.
const TALKER: &str = r#"
import socket, sys
c = socket.create_connection(("IP", 8080)); c.sendall(b"z" * 1000)
print("ready")
for line in sys.stdin:
    if int(line) == 0: c.close()
    else: c.sendall(b"z" * int(line))
    print("done")
"#;

#[test]
fn an_older_connection_is_adopted_across_restarts() {
    if !ready() {
        return;
    }
    let net = Net::new();
    let mut server = net.start("b", SERVER);
    let mut talker = net.start("a", &TALKER.replace("IP", &net.ip(2)));
    let mut sums = Vec::new();
    let mut traces = Vec::new();
    for bytes in [500, 70_000] {
        let mut agent = Agent::start();
        assert_eq!(talker.ask(&bytes.to_string()), "done");
        agent.until("the bytes", |agent| {
            let rows = agent.rows(|ip| net.has(ip));
            let sent = rows
                .iter()
                .filter(|row| row.role == Role::Client)
                .map(|row| row.delta.bytes_sent);
            sent.sum::<u64>() == bytes
        });
        assert!(agent.stop() < Duration::from_secs(1));
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        assert_eq!((clients.len(), servers.len()), (1, 1));
        let (asked, answered) = (&clients[0], &servers[0]);
        assert_eq!((asked.end_reason, answered.end_reason), (None, None));
        assert_eq!(
            (asked.trace, Some(asked.span)),
            (answered.trace, answered.parent)
        );
        assert_eq!(answered.period.bytes_received, asked.period.bytes_sent);
        sums.push(asked.period.bytes_sent);
        traces.push(asked.trace);
    }
    let mut agent = Agent::start();
    assert_eq!(talker.ask("0"), "done");
    agent.until("the close", |agent| {
        closed(&agent.spans(|ip| net.has(ip)).0) == 1
    });
    agent.stop();
    let (clients, _) = agent.spans(|ip| net.has(ip));
    assert!(clients[0].flags.has(Flags::TOTALS));
    assert_eq!(
        (clients[0].period.bytes_sent, clients[0].total.bytes_sent),
        (0, 71_500)
    );
    assert_eq!(sums, [500, 70_000]);
    traces.push(clients[0].trace);
    assert!(
        traces.iter().all(|trace| *trace == traces[0]),
        "ids do not depend on the agent"
    );
    assert!(server.ask("counts").starts_with("71500"));
}

#[test]
fn spans_of_a_long_connection_sum_to_its_total() {
    if !ready() {
        return;
    }
    let net = Net::new();
    let _server = net.start("b", SERVER);
    let mut agent = Agent::start_with("interval = \"600ms\"");
    let mut talker = net.start("a", &TALKER.replace("IP", &net.ip(2)));
    for bytes in (1..=20).map(|n| n * 1_001) {
        assert_eq!(talker.ask(&bytes.to_string()), "done");
        std::thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(talker.ask("0"), "done");
    agent.until("the close at both ends", |agent| {
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        closed(&clients) == 1 && closed(&servers) == 1
    });
    agent.stop();
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    for spans in [&clients, &servers] {
        assert!(spans.len() > 3, "{} spans in 3 s", spans.len());
        let last = spans.iter().find(|row| row.end_reason.is_some()).unwrap();
        assert!(last.flags.has(Flags::TOTALS));
        let sum = |of: fn(&tapetum_model::Counters) -> u64| {
            spans.iter().map(|row| of(&row.period)).sum::<u64>()
        };
        assert_eq!(sum(|period| period.bytes_sent), last.total.bytes_sent);
        assert_eq!(
            sum(|period| period.bytes_received),
            last.total.bytes_received
        );
        assert_eq!(sum(|period| period.packets_sent), last.total.packets_sent);
        assert!(spans.iter().all(|row| row.trace == clients[0].trace));
    }
    assert_eq!(
        clients.iter().map(|row| row.period.bytes_sent).sum::<u64>(),
        211_210
    );
}

#[test]
fn an_older_mptcp_listener_names_what_it_accepts() {
    if !ready() {
        return;
    }
    let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled").unwrap_or_default();
    if enabled.trim() != "1" {
        skip("needs a kernel with MPTCP");
        return;
    }
    let plain = "socket.socket(socket.AF_INET6)";
    let through = SERVER.replace(
        plain,
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)",
    );
    assert_ne!(through, SERVER);
    let net = Net::new();
    let mut first = net.start("b", &through);
    let mut agent = Agent::start();
    let both = |agent: &Agent, count| {
        agent.until("both ends", |agent| {
            let (clients, servers) = agent.spans(|ip| net.has(ip));
            (closed(&clients), closed(&servers)) == (count, count)
        });
    };
    // A client that speaks MPTCP itself, and those that do not.
    let plain = client(&net.ip(2), 8080, 1_000);
    let speaks = plain.replace(
        &format!("socket.create_connection((\"{}\", 8080))", net.ip(2)),
        &format!(
            "socket.socket(2, 1, 262); c.connect((\"{}\", 8080))",
            net.ip(2)
        ),
    );
    assert_ne!(speaks, plain);
    for code in [&plain, &speaks, &client(&net.ipv6(2), 8080, 1_000)] {
        assert_eq!(net.python("a", code).trim(), "2000");
    }
    both(&agent, 3);
    let pids = |agent: &Agent| {
        let (_, servers) = agent.spans(|ip| net.has(ip));
        servers
            .iter()
            .map(|row| row.process.as_ref().map(|process| process.pid))
            .collect::<Vec<_>>()
    };
    assert_eq!(pids(&agent), [Some(first.pid()); 3]);
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    for (asked, answered) in clients.iter().zip(&servers) {
        assert_eq!(name(&answered.local).as_deref(), Some("python3"));
        assert_eq!(name(&asked.remote).as_deref(), Some("python3"));
    }
    // Its name goes with it: who listens there next has its own.
    let old = first.pid();
    assert_eq!(first.ask("counts"), "3000 3");
    drop(first);
    let second = net.start("b", SERVER);
    assert_ne!(second.pid(), old);
    assert_eq!(net.python("a", &plain).trim(), "2000");
    both(&agent, 4);
    assert_eq!(pids(&agent)[3], Some(second.pid()));
    agent.stop();
}
