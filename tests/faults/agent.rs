//! The program with `config/relay.toml`, which only listens elsewhere and may have a queue of the test's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until;

/// A file and the places that it names: what outlives a process.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) data: PathBuf,
    file: PathBuf,
    pub(crate) grpc: SocketAddr,
    admin: SocketAddr,
}

/// A process. Ends however the test ends.
pub(crate) struct Agent {
    program: Child,
    log: PathBuf,
    admin: SocketAddr,
}

/// A page of metrics: name, labels, value.
pub(crate) struct Page(Vec<(String, BTreeMap<String, String>, f64)>);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Place {
    /// The shipped relay in front of these backends; `queue` in the place of its own.
    pub(crate) fn new(backends: &[SocketAddr], queue: Option<&str>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let data = folder.path().join("data");
        Self::at(folder, data, backends, queue)
    }

    pub(crate) fn at(
        folder: TempDir,
        data: PathBuf,
        backends: &[SocketAddr],
        queue: Option<&str>,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut text = fs::read_to_string(root.join("config/relay.toml")).expect("it ships");
        let (grpc, http, admin) = (free(), free(), free());
        let mut exchange = |from: &str, to: &str| {
            assert!(text.contains(from), "config/relay.toml lacks {from}");
            text = text.replacen(from, to, 1);
        };
        exchange("127.0.0.1:9465", &admin.to_string());
        exchange("0.0.0.0:4317", &grpc.to_string());
        exchange("0.0.0.0:4318", &http.to_string());
        let service = format!("[service]\ndata_dir = {data:?}");
        exchange("[service]", &service);
        exchange("http://127.0.0.1:14317", &format!("http://{}", backends[0]));
        if let Some(queue) = queue {
            exchange(
                "queue    = { size = \"64MiB\" }",
                &format!("queue = {queue}"),
            );
        }
        if let Some(second) = backends.get(1) {
            exchange(
                "exporters = [\"otlp\"]",
                "exporters = [\"otlp\", \"otlp/second\"]",
            );
            text.push_str(&format!(
                "\n[exporters.\"otlp/second\"]\nendpoint = \"http://{second}\"\n"
            ));
        }
        let file = folder.path().join("file.toml");
        fs::write(&file, text).expect("a folder");
        Self {
            folder,
            data,
            file,
            grpc,
            admin,
        }
    }

    /// Starts a process with it, and waits until it takes something.
    pub(crate) async fn start(&self) -> Agent {
        let log = tempfile::Builder::new()
            .prefix("log")
            .tempfile_in(self.folder.path());
        let log = log.expect("a folder").keep().expect("a file").1;
        let program = Command::new(env!("CARGO_BIN_EXE_tapetum"))
            .arg("run")
            .arg("-c")
            .arg(&self.file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a folder"))
            .spawn()
            .expect("the program starts");
        let agent = Agent {
            program,
            log,
            admin: self.admin,
        };
        let grpc = self.grpc;
        until("it listens", || TcpStream::connect(grpc).ok()).await;
        agent
    }

    /// The segment files of its queue.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.join("queue/otlp"))
            .into_iter()
            .flatten();
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "segment"))
            .collect();
        paths.sort();
        paths
    }
}

impl Agent {
    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop and waits for its end.
    pub(crate) async fn stop(mut self) {
        let pid = self.program.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill").success());
        let program = &mut self.program;
        let end = until("it ends", || program.try_wait().expect("its state")).await;
        assert!(end.success(), "{end}: {}", self.log());
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.program.kill().expect("it runs");
        self.program.wait().expect("it ends");
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("the admin address");
        let request = format!("GET {path} HTTP/1.1\r\nhost: it\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it is asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    pub(crate) fn ready(&self) -> String {
        self.ask("/readyz")
    }

    pub(crate) fn page(&self) -> Page {
        let answer = self.ask("/metrics");
        Page(answer.lines().filter_map(series).collect())
    }

    /// Waits until an exporter holds nothing, and judges books and memory.
    pub(crate) async fn settle(&self, exporters: &[&str]) {
        let is_empty = || {
            let page = self.page();
            let empty = exporters
                .iter()
                .all(|one| page.sum("tapetum_queue_records", one) == 0.0);
            empty.then_some(page)
        };
        let page = until("the queues are empty", is_empty).await;
        page.balances(exporters);
        let used = page.sum("tapetum_process_memory_bytes", "");
        assert!(used > 0.0 && used <= f64::from(256 << 20), "{used} bytes");
    }
}

impl Page {
    /// The sum of a metric over the series of a component; of all if that has no name.
    pub(crate) fn sum(&self, name: &str, component: &str) -> f64 {
        let is_of = |labels: &BTreeMap<String, String>| {
            component.is_empty() || labels.get("component").is_some_and(|one| one == component)
        };
        let series = self.0.iter();
        let series = series.filter(|(one, labels, _)| one == name && is_of(labels));
        series.map(|(_, _, value)| value).sum()
    }

    fn balances(&self, exporters: &[&str]) {
        for exporter in exporters {
            let of = |what: &str| self.sum(&format!("tapetum_records_{what}_total"), exporter);
            let gone: f64 = ["out", "lost", "refused", "filtered", "absorbed"]
                .map(of)
                .iter()
                .sum();
            let held = self.sum("tapetum_queue_records", exporter);
            assert_eq!(of("in"), gone + held, "the books of {exporter}");
        }
    }
}

fn series(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok().filter(|_| !line.starts_with('#'))?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let labels = labels.trim_end_matches('}').split(',');
    let labels = labels.filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((key.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some((name.to_owned(), labels.collect(), value))
}

/// An address that is free now.
pub(crate) fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
