//! What is measured: Tapetum, or the Collector, with one pipeline from OTLP through a batch to OTLP.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::core::THEIRS;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Collector,
    Tapetum,
}

/// What a pipeline does beyond passing on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pipeline {
    /// What is accepted survives the process.
    pub(crate) is_persistent: bool,
    /// What leaves is compressed.
    pub(crate) is_compressed: bool,
}

/// A program that runs; ended when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Collector => "the Collector",
            Self::Tapetum => "Tapetum",
        }
    }

    /// Starts it in a folder of its own; it takes connections when this returns.
    pub(crate) fn start(self, pipeline: Pipeline, sink: SocketAddr, dir: &Path) -> Result<Running> {
        let address = free()?;
        let (program, arguments) = match self {
            Self::Collector => {
                let file = dir.join("collector.yaml");
                fs::write(&file, collector_file(pipeline, address, sink, dir))?;
                (collector_program()?, vec!["--config".into(), file])
            }
            Self::Tapetum => {
                let file = dir.join("tapetum.toml");
                fs::write(&file, tapetum_file(pipeline, (address, free()?), sink, dir))?;
                let program = tapetum_program()?;
                (program, vec!["run".into(), "-c".into(), file])
            }
        };
        let log = dir.join("log");
        let child = Command::new("taskset")
            .args(["-c", &THEIRS.to_string()])
            .arg(&program)
            .args(arguments)
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut running = Running {
            child,
            address,
            log,
        };
        running.wait()?;
        Ok(running)
    }
}

impl Running {
    /// `taskset` becomes what it starts: its process is the program's.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it had, and the private memory that it has.
    pub(crate) fn memory_mib(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib / 1024.0)
        };
        Ok((
            of("VmHWM:").context("no VmHWM")?,
            of("RssAnon:").context("no RssAnon")?,
        ))
    }

    fn wait(&mut self) -> Result<()> {
        let give_up = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait()?.is_some();
            if ended || Instant::now() > give_up {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("it does not listen on {}: {log}", self.address);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The release build, beside this program.
fn tapetum_program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("tapetum");
    ensure!(
        program.exists(),
        "{} is not there: build it with `cargo build --release`",
        program.display()
    );
    Ok(program)
}

fn collector_program() -> Result<PathBuf> {
    let output = Command::new(root().join("tests/backends/run"))
        .args(["build", "collector"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the Collector cannot be built");
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

fn tapetum_file(
    pipeline: Pipeline,
    (listen, admin): (SocketAddr, SocketAddr),
    sink: SocketAddr,
    dir: &Path,
) -> String {
    let compression = if pipeline.is_compressed {
        "zstd"
    } else {
        "none"
    };
    let persist = if pipeline.is_persistent {
        ", persist = true"
    } else {
        ""
    };
    format!(
        r#"
[service]
data_dir = "{}"
admin = "{admin}"

[receivers.otlp]
grpc = "{listen}"

[processors.batch]
bytes = "2800KB"

[exporters.otlp]
endpoint = "http://{sink}"
compression = "{compression}"
queue = {{ size = "16MiB"{persist} }}

[pipelines.all]
receivers  = ["otlp"]
processors = ["batch"]
exporters  = ["otlp"]
"#,
        dir.display()
    )
}

/// The same: a batch of about 2.8 MB, a queue before the exporter.
fn collector_file(pipeline: Pipeline, listen: SocketAddr, sink: SocketAddr, dir: &Path) -> String {
    let compression = if pipeline.is_compressed {
        "zstd"
    } else {
        "none"
    };
    let (storage, extensions) = match pipeline.is_persistent {
        true => (
            "    sending_queue:\n      storage: file_storage\n",
            "[file_storage]",
        ),
        false => ("", "[]"),
    };
    format!(
        r#"
extensions:
  file_storage:
    directory: {}
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: {listen}
processors:
  batch:
    send_batch_size: 8192
    send_batch_max_size: 8192
    timeout: 200ms
exporters:
  otlp:
    endpoint: {sink}
    compression: {compression}
    tls:
      insecure: true
{storage}
service:
  extensions: {extensions}
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlp]
    logs:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlp]
"#,
        dir.display()
    )
}
