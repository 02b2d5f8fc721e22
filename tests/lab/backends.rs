//! Jaeger and the Collector, started and stopped by `tests/backends/run`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;

use crate::{
    http,
    place::{Place, until},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that `run start` started in a place and that `run stop` stops.
#[derive(Debug)]
struct Server {
    place: Place,
    dir: PathBuf,
}

impl Server {
    fn start(place: &Place, name: &str, options: &[&str]) -> Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let dir = place.dir().join(format!("{name}-{serial}"));
        let dir_text = dir.display().to_string();
        let mut arguments = vec!["start", name, &dir_text];
        arguments.extend(options);
        place.run(&script(), &arguments)?;
        Ok(Self {
            place: place.clone(),
            dir,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What does not stop is ended with the lab.
        let _ = self
            .place
            .run(&script(), &["stop", &self.dir.display().to_string()]);
    }
}

/// Jaeger v2, memory storage.
#[derive(Debug)]
pub struct Jaeger {
    server: Server,
    otlp: String,
    api: String,
}

impl Jaeger {
    /// Starts one on `address`, ports 4317 and 16686. The first on a machine is built, which takes minutes.
    ///
    /// # Errors
    /// If it cannot be built or does not come up.
    pub fn start(place: &Place, address: &str) -> Result<Self> {
        let server = Server::start(place, "jaeger", &["--address", address])?;
        Ok(Self {
            server,
            otlp: format!("{address}:4317"),
            api: format!("http://{address}:16686/api"),
        })
    }

    /// Where spans go, `HOST:PORT`.
    #[must_use]
    pub fn otlp(&self) -> &str {
        &self.otlp
    }

    /// A trace once it has as many spans.
    ///
    /// # Errors
    /// If it never has.
    pub fn trace(&self, id: &str, spans: usize) -> Result<Value> {
        until(&format!("trace {id} in Jaeger"), PATIENCE, || {
            let Ok(body) = http::get(&self.server.place, &format!("{}/traces/{id}", self.api))
            else {
                return Ok(None);
            };
            let mut answer: Value = serde_json::from_str(&body)?;
            let trace = answer["data"][0].take();
            let whole = trace["spans"]
                .as_array()
                .is_some_and(|list| list.len() >= spans);
            Ok(whole.then_some(trace))
        })
    }

    /// The edges between services: parent, child.
    ///
    /// # Errors
    /// If Jaeger does not answer.
    pub fn dependencies(&self, now_ms: u128) -> Result<Vec<(String, String)>> {
        let url = format!("{}/dependencies?endTs={now_ms}&lookback=3600000", self.api);
        let answer: Value = serde_json::from_str(&http::get(&self.server.place, &url)?)?;
        let edges = answer["data"].as_array().cloned().unwrap_or_default();
        let text = |edge: &Value, name: &str| edge[name].as_str().unwrap_or_default().to_owned();
        Ok(edges
            .iter()
            .map(|edge| (text(edge, "parent"), text(edge, "child")))
            .collect())
    }
}

/// The Collector of `tests/backends/collector`.
#[derive(Debug)]
pub struct Collector {
    server: Server,
    otlp: String,
    http: String,
}

impl Collector {
    /// Starts one on `address`, ports 4320 and 4321, which passes on spans and points where a target is named.
    ///
    /// # Errors
    /// If it cannot be built or does not come up.
    pub fn start(
        place: &Place,
        address: &str,
        spans_to: Option<&str>,
        points_to: Option<&str>,
    ) -> Result<Self> {
        let mut options = vec![
            "--address",
            address,
            "--otlp",
            "4320",
            "--otlp-http",
            "4321",
        ];
        options.extend(spans_to.iter().flat_map(|target| ["--spans-to", target]));
        options.extend(points_to.iter().flat_map(|target| ["--points-to", target]));
        let server = Server::start(place, "collector", &options)?;
        Ok(Self {
            server,
            otlp: format!("{address}:4320"),
            http: format!("{address}:4321"),
        })
    }

    /// Where spans and points go, `HOST:PORT`.
    #[must_use]
    pub fn otlp(&self) -> &str {
        &self.otlp
    }

    /// The same over HTTP.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Everything that it took, as its debug exporter prints it.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.server.dir.join("log")).unwrap_or_default()
    }
}

fn script() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../backends/run");
    script.display().to_string()
}
