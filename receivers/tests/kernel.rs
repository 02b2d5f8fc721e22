//! The receiver on the real kernel: connections of two namespaces of our own, judged by a sender and a
//! receiver that count. Needs root; says so where it is missing.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails like the test itself"
)]

#[path = "kernel/agent.rs"]
mod agent;
#[path = "kernel/net.rs"]
mod net;

use std::collections::HashMap;
use std::time::Duration;

use agent::Agent;
use net::Net;
use tapetum_model::{Connection, EndReason, ErrorType, Flags, Role};

/// Serves on `b`: for each connection reads to its end, then sends back twice as much. Prints what it
/// counted for each when it is asked.
const SERVER: &str = r#"
import socket, sys, threading
s = socket.socket(socket.AF_INET6); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(41, 26, 0); s.bind(("::", 8080)); s.listen(4096)
counts = []
def serve(c):
    n = 0
    while True:
        try: d = c.recv(1 << 16)
        except OSError: d = b""
        if not d: break
        n += len(d)
    counts.append(n)
    try: c.sendall(b"x" * (2 * n))
    except OSError: pass
    c.close()
def accept():
    while True:
        c, _ = s.accept(); threading.Thread(target=serve, args=(c,), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
print("ready")
for line in sys.stdin: print(sum(counts), len(counts))
"#;

fn client(ip: &str, port: u16, bytes: usize) -> String {
    format!(
        r#"
import socket
c = socket.create_connection(("{ip}", {port}))
c.sendall(b"y" * {bytes}); c.shutdown(1); n = 0
while True:
    d = c.recv(1 << 16)
    if not d: break
    n += len(d)
c.close(); print(n)
"#
    )
}

fn ready() -> bool {
    match net::missing() {
        None => true,
        Some(what) => {
            eprintln!("skipped: {what}");
            false
        }
    }
}

fn name(end: &tapetum_model::End) -> Option<String> {
    Some(end.entity.as_ref()?.name()?.to_string())
}

fn closed(rows: &[Connection]) -> usize {
    rows.iter().filter(|row| row.end_reason.is_some()).count()
}

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
fn connects_fail_for_every_reason() {
    if !ready() {
        return;
    }
    let net = Net::new();
    net.sysctl("a", "net/ipv4/tcp_syn_retries", "1");
    net.nft("b", "add table ip t\nadd chain ip t i { type filter hook input priority 0; }\n\
        add rule ip t i tcp dport 81 drop\nadd rule ip t i tcp dport 82 reject with icmp type host-unreachable\n\
        add rule ip t i tcp dport 83 reject with icmp type net-unreachable\n\
        add rule ip t i tcp dport 84 reject with tcp reset\n");
    let _server = net.start("b", SERVER);
    let agent = Agent::start();
    let code = format!(
        r#"
import socket, struct, errno
for port in (81, 82, 83, 84, 85):
    try: socket.create_connection(("{ip}", port))
    except OSError: pass
for port in (82, 83):
    try: socket.create_connection(("{ip}", port), 10)
    except OSError: pass
c = socket.socket(); c.settimeout(0.2)
try: c.connect(("{ip}", 81))
except OSError: pass
c.close()
c = socket.create_connection(("{ip}", 8080))
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.send(b"a"); c.close()
"#,
        ip = net.ip(2)
    );
    net.python("a", &code);
    agent.until("nine clients and a server", |agent| {
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        closed(&clients) == 9 && closed(&servers) == 1
    });
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    let mut ends: Vec<_> = clients
        .iter()
        .map(|row| {
            (
                row.remote.address.port(),
                row.end_reason.unwrap().name(),
                row.error.map(ErrorType::name),
            )
        })
        .collect();
    ends.sort_unstable();
    assert_eq!(
        ends,
        [
            (81, "cancelled", None),
            (81, "timeout", Some("timeout")),
            (82, "unknown", Some("host_unreachable")),
            (82, "unknown", Some("host_unreachable")),
            (83, "unknown", Some("net_unreachable")),
            (83, "unknown", Some("net_unreachable")),
            (84, "rst_received", Some("connection_refused")),
            (85, "rst_received", Some("connection_refused")),
            (8080, "rst_sent", Some("reset")),
        ]
    );
    assert_eq!(servers[0].end_reason, Some(EndReason::RstReceived));
    assert_eq!(servers[0].error, Some(ErrorType::Reset));
    let mut traces: Vec<_> = clients.iter().map(|row| row.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 9);
    assert!(clients.iter().all(|row| row.local.address.port() != 0));
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

/// Set in the process that runs inside the namespace.
const INSIDE: &str = "RECEIVER_TEST_INSIDE";

#[test]
fn conntrack_of_the_own_namespace_says_who_answered() {
    if !ready() {
        return;
    }
    if let Ok(address) = std::env::var(INSIDE) {
        return inside(&address);
    }
    let net = Net::new();
    // Nobody accepts there, so no second end on this kernel can tell. (What is refused is forgotten by
    // connection tracking at once.)
    net.nft("b", "add table ip t\nadd chain ip t i { type filter hook input priority 0; }\nadd rule ip t i tcp dport 8081 drop\n");
    let rule = format!(
        "add rule ip t o ip daddr {} tcp dport 81 dnat to {}:8081\n",
        net.virtual_ip(),
        net.ip(2)
    );
    net.nft("a", &rule);
    let this = std::env::current_exe().unwrap();
    let output = net
        .command("a", &this.to_string_lossy())
        .args([
            "--exact",
            "conntrack_of_the_own_namespace_says_who_answered",
            "--nocapture",
        ])
        .env(INSIDE, net.virtual_ip())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        said.contains(&format!(
            "{}:81 answered by {}:8081",
            net.virtual_ip(),
            net.ip(2)
        )),
        "{said}"
    );
}

fn inside(address: &str) {
    let agent = Agent::start();
    let code = format!(
        "import socket\ntry: socket.create_connection(('{address}', 81), 0.3)\nexcept OSError: pass\n"
    );
    let python = std::process::Command::new("python3")
        .args(["-c", &code])
        .status()
        .unwrap();
    assert!(python.success());
    let asked = |row: &Connection| row.remote.address.to_string() == format!("{address}:81");
    agent.until("the abandoned connect", |agent| {
        agent.rows(|_| true).iter().any(asked)
    });
    let row = agent.rows(|_| true).into_iter().find(asked).unwrap();
    assert_eq!(row.end_reason, Some(EndReason::Cancelled));
    // For the parent to compare.
    let said = format!(
        "{} answered by {}",
        row.remote.address,
        row.answered_by.unwrap()
    );
    std::io::Write::write_all(&mut std::io::stdout(), said.as_bytes()).unwrap();
}
