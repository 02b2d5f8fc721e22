//! Connects that fail for every reason, and who answers where the other end cannot be seen.

use tapetum_model::{Connection, EndReason, ErrorType};

use crate::agent::Agent;
use crate::net::Net;
use crate::{SERVER, closed, ready};

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
            "ends::conntrack_of_the_own_namespace_says_who_answered",
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
