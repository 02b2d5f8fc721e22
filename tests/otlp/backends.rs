//! The real OpenTelemetry Collector takes what the program passes on, joined in batches, over both protocols and
//! both compressions: it finds in it what was sent.

use std::fs;
use std::path::Path;
use std::process::Command;

use tapetum_lab::skip;
use tempfile::TempDir;

use crate::agent::Agent;
use crate::pass::spans;
use crate::sender::Sender;
use crate::until;

/// On addresses of its own; ended however the test ends.
struct Collector {
    folder: TempDir,
    address: String,
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/run"))
}

impl Collector {
    fn start() -> Self {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = format!("127.{}.{middle}.{low}", 192 + high % 32);
        let folder = TempDir::new().expect("a folder");
        let started = script()
            .args(["start", "collector"])
            .arg(folder.path())
            .args(["--address", &address])
            .status();
        assert!(started.expect("bash").success(), "the Collector starts");
        Self { folder, address }
    }

    /// Everything that it took, as its debug exporter prints it.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It goes with the test's process at the latest.
        let _ = script().arg("stop").arg(self.folder.path()).status();
    }
}

/// Over each protocol of the exporter.
fn file(address: &str) -> String {
    format!(
        r#"
[service]
admin = "ADMIN"
[receivers.otlp]
grpc = "127.0.0.1:0"
[processors.batch]
bytes = "16KiB"
wait = "100ms"
[exporters."otlp/grpc"]
endpoint = "http://{address}:4317"
compression = "gzip"
[exporters."otlp/http"]
endpoint = "http://{address}:4318"
protocol = "http"
compression = "zstd"
[pipelines.relay]
receivers = ["otlp"]
processors = ["batch"]
exporters = ["otlp/grpc", "otlp/http"]
"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_finds_what_was_sent_over_both_protocols() {
    if Command::new("go").arg("version").output().is_err() {
        skip("the Collector behind the exporter", "Go is not installed");
        return;
    }
    let collector = tokio::task::block_in_place(Collector::start);
    let mut agent = Agent::start(&file(&collector.address));
    let sender = Sender::connect(agent.address("grpc").await).await;
    // Joined, and cut: the last is larger than a batch may be.
    for n in [1, 2, 700] {
        assert_eq!(sender.send("trace", &spans(n)).await, "0");
    }
    let names = |log: &str| -> Vec<String> {
        let lines = log
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Name"));
        let names = lines.filter_map(|line| line.split_once(": "));
        let mut names: Vec<String> = names.map(|(_, name)| name.to_owned()).collect();
        names.sort();
        names
    };
    let mut sent: Vec<String> = [1, 2, 700]
        .into_iter()
        .flat_map(|n| 0..n)
        .flat_map(|at| [format!("span {at}"), format!("span {at}")])
        .collect();
    sent.sort();
    let log = until("the Collector has all of it twice", || {
        let log = collector.log();
        (names(&log).len() >= sent.len()).then_some(log)
    })
    .await;
    assert_eq!(names(&log), sent);
    for id in ["0000000000000001", "00000000000002bb"] {
        let found = log
            .lines()
            .filter(|line| line.trim().starts_with("ID") && line.ends_with(id));
        assert!(found.count() >= 2, "{id}");
    }
    assert!(agent.stop().await, "{}", agent.log());
}
