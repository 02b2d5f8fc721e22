//! The receiver on the real kernel: connections of two namespaces of our own, judged by a sender and a
//! receiver that count. Needs root; says so where it is missing.

#![allow(
    clippy::unwrap_used,
    reason = "what a test calls fails like the test itself"
)]

mod agent;
mod bytes;
mod ends;
mod named;
mod net;
mod older;
mod pace;

use tapetum_model::{Connection, End};

/// Serves on `b`: for each connection reads to its end, then sends back twice as much. Prints what it
/// counted for each when it is asked.
pub(crate) const SERVER: &str = r#"
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

pub(crate) fn client(ip: &str, port: u16, bytes: usize) -> String {
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

/// Whether a test can run here; where it cannot, the reason is said.
pub(crate) fn ready() -> bool {
    net::missing().map(|what| skip(&what)).is_none()
}

pub(crate) fn skip(reason: &str) {
    tapetum_testkit::skip_this("receivers", reason);
}

/// Prints a figure beside its target, which a busy machine may miss.
pub(crate) fn figure(what: &str, value: f64, target: &str) {
    use std::io::Write as _;
    let line = format!("figure: {what}: {value:.1} (target {target})\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

pub(crate) fn name(end: &End) -> Option<String> {
    Some(end.entity.as_ref()?.name()?.to_string())
}

pub(crate) fn closed(rows: &[Connection]) -> usize {
    rows.iter().filter(|row| row.end_reason.is_some()).count()
}
