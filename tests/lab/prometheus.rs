//! The distribution's own Prometheus: scrapes agents or takes remote writes, and answers PromQL.

use std::{fmt::Write as _, fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    http,
    namespace::run,
    place::{Place, Process, until},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    place: Place,
    address: String,
}

impl Prometheus {
    /// Starts one on `address` that scrapes `targets` every second and takes remote writes.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(place: &Place, address: &str, targets: &[String]) -> Result<Self> {
        let native = ["--enable-feature=native-histograms"];
        Self::start_with(place, address, targets, &native)
    }

    /// The same as most of them are set up: with classic histograms only.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_classic(place: &Place, address: &str, targets: &[String]) -> Result<Self> {
        Self::start_with(place, address, targets, &[])
    }

    fn start_with(
        place: &Place,
        address: &str,
        targets: &[String],
        options: &[&str],
    ) -> Result<Self> {
        let mut config = String::from("global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n");
        if !targets.is_empty() {
            write!(
                config,
                "scrape_configs:\n- job_name: tapetum\n  static_configs:\n  - targets: {targets:?}\n"
            )?;
        }
        // Several may run in one place.
        let name = format!("prometheus-{}", address.replace(':', "-"));
        let file = place.dir().join(format!("{name}.yml"));
        fs::write(&file, config)?;
        let mut command = place.command("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                place.dir().join(&name).display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .args(options)
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
        let process = place.start(&name, &mut command)?;
        let prometheus = Self {
            _process: process,
            place: place.clone(),
            address: address.to_owned(),
        };
        until("Prometheus to be ready", PATIENCE, || {
            Ok(http::get(place, &format!("http://{address}/-/ready")).ok())
        })?;
        Ok(prometheus)
    }

    /// Where remote writes go.
    #[must_use]
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// The result of a PromQL query, as the API has it: a list of series.
    ///
    /// # Errors
    /// If Prometheus refuses it.
    pub fn query(&self, promql: &str) -> Result<Vec<Value>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let answer: Value =
            serde_json::from_str(&http::query(&self.place, &url, &[("query", promql)])?)?;
        if answer["status"] != "success" {
            bail!("Prometheus refuses {promql}: {answer}");
        }
        Ok(answer["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default())
    }

    /// The one number that a query gives; 0 if it gives none.
    ///
    /// # Errors
    /// If Prometheus refuses it or gives several series.
    pub fn number(&self, promql: &str) -> Result<f64> {
        match &self.query(promql)?[..] {
            [] => Ok(0.0),
            [one] => Ok(one["value"][1]
                .as_str()
                .context("a series without a value")?
                .parse()?),
            several => bail!("{promql} gives {} series", several.len()),
        }
    }

    /// Waits until a query gives exactly `wanted`; gives back the last number otherwise.
    ///
    /// # Errors
    /// If Prometheus refuses it.
    pub fn settle(&self, promql: &str, wanted: f64) -> Result<f64> {
        let mut last = 0.0;
        let settled = until(promql, Duration::from_secs(15), || {
            last = self.number(promql)?;
            Ok(same(last, wanted).then_some(last))
        });
        Ok(settled.unwrap_or(last))
    }
}

/// What promtool finds wrong with an exposition; nothing if it is clean.
///
/// # Errors
/// If promtool does not run.
pub fn promtool_complaints(exposition: &str) -> Result<String> {
    match run(
        Command::new("promtool").args(["check", "metrics"]),
        exposition,
    ) {
        Ok(_) => Ok(String::new()),
        Err(error) => Ok(error.to_string()),
    }
}

/// Counters of bytes are whole numbers below 2^53: equal is equal.
fn same(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.5
}
