//! The program, with a file of the test's.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::until;

/// A program that runs. Ends it however the test ends.
pub(crate) struct Agent {
    program: Child,
    admin: SocketAddr,
    folder: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// An address that no other test has: of this process, and of the agents that it started before.
fn address_of_its_own() -> SocketAddr {
    static BEFORE: AtomicU16 = AtomicU16::new(0);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = 20_000 + BEFORE.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, 64 + high % 128, middle, low], port))
}

impl Agent {
    /// Starts it with this file.
    pub(crate) fn start(file: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (path, log) = (folder.path().join("file.toml"), folder.path().join("log"));
        let admin = address_of_its_own();
        let file = file.replace("ADMIN", &admin.to_string());
        fs::write(&path, file).expect("a folder");
        let program = Command::new(env!("CARGO_BIN_EXE_tapetum"))
            .arg("run")
            .arg("-c")
            .arg(&path)
            .env("TAPETUM_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a folder"))
            .spawn()
            .expect("the program starts");
        Self {
            program,
            admin,
            folder,
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it takes OTLP: `grpc` or `http`.
    pub(crate) async fn address(&self, takes: &str) -> SocketAddr {
        let look = || {
            self.log().lines().find_map(|line| {
                let told: serde_json::Value = serde_json::from_str(line).ok()?;
                let is_it = told["message"] == "listens" && told["takes"] == takes;
                is_it.then(|| told["address"].as_str()?.parse().ok())?
            })
        };
        until(&format!("it takes {takes}"), look).await
    }

    /// The most memory that it ever had.
    pub(crate) fn most_resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.program.id());
        let status = fs::read_to_string(status).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.expect("a number") << 10
    }

    /// What it says that its components and queues may take.
    pub(crate) fn budget_bytes(&self) -> u64 {
        let log = self.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let total = lines.find_map(|told: serde_json::Value| told["total_bytes"].as_u64());
        total.expect("it is said at the start")
    }

    /// Its page of metrics.
    pub(crate) async fn metrics(&self) -> String {
        let mut tcp = TcpStream::connect(self.admin).await.expect("it listens");
        let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        tcp.write_all(ask).await.expect("it is sent");
        let mut page = String::new();
        tcp.read_to_string(&mut page).await.expect("a page");
        page
    }

    /// Asks it to stop and waits for its end; whether it ended well.
    pub(crate) async fn stop(&mut self) -> bool {
        let pid = self.program.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill").success());
        let program = &mut self.program;
        let end = until("it ends", || program.try_wait().expect("its state")).await;
        end.success()
    }
}
