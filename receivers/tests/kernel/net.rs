//! Two network namespaces joined by a cable, and processes in them. Everything goes when it is dropped.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static SERIAL: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Net {
    prefix: String,
    /// Second octet of its addresses, so that tests that run at once can be told apart.
    octet: u32,
}

/// What is missing to run here; `None`: nothing.
pub(crate) fn missing() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    // CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF.
    let needed = 1 << 12 | 1 << 21 | 1 << 38 | 1 << 39;
    if effective & needed != needed {
        return Some("needs root: namespaces and BPF".to_owned());
    }
    ["ip", "nft", "nsenter", "python3"]
        .into_iter()
        .find(|tool| !on_path(tool))
        .map(|tool| format!("needs the program `{tool}`"))
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

impl Net {
    /// Namespaces `a` (10.x.0.1, fd00:x::1) and `b` (10.x.0.2, fd00:x::2). In `a`, 10.x.9.9:80 is a
    /// virtual IP of `b`:8080, and what goes there is masqueraded as 10.x.0.7.
    pub(crate) fn new() -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let octet = 100 + (std::process::id() + serial) % 150;
        let net = Self {
            prefix: format!("rcv{}x{serial}", std::process::id()),
            octet,
        };
        for end in ["a", "b"] {
            net.run("ip", &["netns", "add", &net.name(end)]);
        }
        let (a, b) = (net.name("a"), net.name("b"));
        let link = [
            "link", "add", "v", "netns", &a, "type", "veth", "peer", "name", "v", "netns", &b,
        ];
        net.run("ip", &link);
        for (end, host) in [("a", 1), ("b", 2)] {
            let name = net.name(end);
            let v4 = format!("10.{octet}.0.{host}/16");
            let v6 = format!("fd00:{octet}::{host}/64");
            for line in [
                vec!["addr", "add", &v4, "dev", "v"],
                vec!["addr", "add", &v6, "dev", "v", "nodad"],
                vec!["link", "set", "v", "up"],
                vec!["link", "set", "lo", "up"],
            ] {
                net.run("ip", &[&["-n", &name][..], &line].concat());
            }
        }
        net.nft(
            "a",
            &format!(
                "add table ip t\nadd chain ip t o {{ type nat hook output priority -100; }}\n\
             add rule ip t o ip daddr 10.{octet}.9.9 tcp dport 80 dnat to 10.{octet}.0.2:8080\n"
            ),
        );
        net
    }

    pub(crate) fn ip(&self, host: u8) -> String {
        format!("10.{}.0.{host}", self.octet)
    }

    pub(crate) fn virtual_ip(&self) -> String {
        format!("10.{}.9.9", self.octet)
    }

    pub(crate) fn ipv6(&self, host: u8) -> String {
        format!("fd00:{}::{host}", self.octet)
    }

    /// Whether an address is one of ours.
    pub(crate) fn has(&self, ip: std::net::IpAddr) -> bool {
        let text = ip.to_string();
        text.starts_with(&format!("10.{}.", self.octet))
            || text.starts_with(&format!("fd00:{}:", self.octet))
    }

    pub(crate) fn nft(&self, end: &str, script: &str) {
        let mut command = self.command(end, "nft");
        let mut child = command
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "nft: {script}");
    }

    pub(crate) fn sysctl(&self, end: &str, setting: &str, value: &str) {
        let script = format!("echo {value} > /proc/sys/{setting}");
        let output = self
            .command(end, "sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{setting}");
    }

    /// Runs Python to its end and gives back what it prints.
    pub(crate) fn python(&self, end: &str, code: &str) -> String {
        let output = self
            .command(end, "python3")
            .args(["-c", code])
            .output()
            .unwrap();
        said(&output)
    }

    /// Starts Python; waits for its first line, which says that it is ready.
    pub(crate) fn start(&self, end: &str, code: &str) -> Running {
        use std::io::BufRead as _;
        let mut child = self
            .command(end, "python3")
            .args(["-u", "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        Running { child, reader }
    }

    pub(crate) fn command(&self, end: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let path = Path::new("/run/netns").join(self.name(end));
        command
            .arg(format!("--net={}", path.display()))
            .arg("--")
            .arg(program);
        command
    }

    fn name(&self, end: &str) -> String {
        format!("{}{end}", self.prefix)
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(program).args(arguments).output().unwrap();
        said(&output);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            let _ = Command::new("ip")
                .args(["netns", "delete", &self.name(end)])
                .output();
        }
    }
}

/// A process that goes on.
pub(crate) struct Running {
    child: Child,
    reader: std::io::BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to it, and reads its answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        use std::io::BufRead as _;
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.reader.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
