//! The agent under judgement: the real program with a real file, in a node's namespace.

use std::{
    fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::ExitStatus, time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    http,
    ledger::Ledger,
    place::{Place, Process, until},
    programs::tapetum_program,
    spans::Span,
};

/// How long anything of the agent may take on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(60);
const ADMIN_PORT: u16 = 9465;
const SCRAPE_PORT: u16 = 9464;
/// Gives this process a host name of its own, `$1`, and becomes the rest: an agent is known by its host's
/// name, and the nodes of a lab share one.
const NAMED: &str = r#"echo "$1" >/proc/sys/kernel/hostname && shift && exec "$@""#;

/// What the agent's file says, as far as tests differ in it.
#[derive(Clone, Debug)]
pub struct Pipelines {
    /// `sweep` of the receiver.
    pub sweep: String,
    /// `interval` of the receiver.
    pub interval: String,
    /// Further lines of the receiver's table.
    pub receiver: String,
    /// Lines of the table of `k8s`; without them there is no such processor.
    pub k8s: Option<String>,
    /// An OTLP server that gets spans, `http://…`.
    pub spans_to: Option<String>,
    /// An OTLP server that gets metrics, `http://…`.
    pub points_to: Option<String>,
}

impl Default for Pipelines {
    fn default() -> Self {
        Self {
            sweep: "1s".to_owned(),
            interval: "60s".to_owned(),
            receiver: String::new(),
            k8s: None,
            spans_to: None,
            points_to: None,
        }
    }
}

impl Pipelines {
    /// The whole file: spans to a file of OTLP JSON lines, metrics to be scraped.
    fn text(&self, spans: &std::path::Path) -> String {
        let Self {
            sweep,
            interval,
            receiver,
            k8s,
            spans_to,
            points_to,
        } = self;
        let mut exporters = format!(
            "[exporters.file]\npath = \"{}\"\n\n[exporters.prometheus]\nlisten = \"127.0.0.1:{SCRAPE_PORT}\"\n",
            spans.display()
        );
        let (mut to_spans, mut to_points) = ("\"file\"".to_owned(), "\"prometheus\"".to_owned());
        for (target, name, list) in [
            (spans_to, "otlp/spans", &mut to_spans),
            (points_to, "otlp/points", &mut to_points),
        ] {
            if let Some(endpoint) = target {
                exporters += &format!("\n[exporters.\"{name}\"]\nendpoint = \"{endpoint}\"\n");
                *list += &format!(", \"{name}\"");
            }
        }
        let (named, names) = match k8s {
            Some(lines) => (format!("[processors.k8s]\n{lines}\n\n"), "\"k8s\""),
            None => (String::new(), ""),
        };
        let comma = if names.is_empty() { "" } else { ", " };
        format!(
            "[service]\nadmin = \"127.0.0.1:{ADMIN_PORT}\"\nmemory = \"512MiB\"\n\n\
             [receivers.tcp]\nsweep = \"{sweep}\"\ninterval = \"{interval}\"\n{receiver}\n\n\
             {named}[processors.aggregate]\nflush = \"1s\"\n\n{exporters}\n\
             [pipelines.connections]\nreceivers = [\"tcp\"]\nprocessors = [{names}]\nexporters = [{to_spans}]\n\n\
             [pipelines.metrics]\nreceivers = [\"tcp\"]\nprocessors = [{names}{comma}\"aggregate\"]\n\
             exporters = [{to_points}]\n"
        )
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    place: Place,
    spans: PathBuf,
}

impl Agent {
    /// Starts one in `place` and waits until it says that it is ready.
    ///
    /// # Errors
    /// If it ends or does not become ready; what it logged is in the message.
    pub fn start(place: &Place, name: &str, pipelines: &Pipelines) -> Result<Self> {
        let mut agent = Self::launch(place, name, pipelines)?;
        agent.ready()?;
        Ok(agent)
    }

    /// Starts one and does not wait.
    ///
    /// # Errors
    /// If there is no program or its file cannot be written.
    pub fn launch(place: &Place, name: &str, pipelines: &Pipelines) -> Result<Self> {
        Self::launch_through(place, name, pipelines, &[])
    }

    /// Starts one by way of another program, `setpriv` and its options, and does not wait.
    ///
    /// # Errors
    /// If there is no program or its file cannot be written.
    pub fn launch_through(
        place: &Place,
        name: &str,
        pipelines: &Pipelines,
        through: &[&str],
    ) -> Result<Self> {
        let dir = place.dir().join(name);
        fs::create_dir_all(&dir)?;
        // Whoever the agent runs as writes its spans here.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
        let (spans, file) = (dir.join("spans"), dir.join("tapetum.toml"));
        fs::write(&file, pipelines.text(&spans))?;
        let mut command = place.command("unshare");
        command
            .args(["--uts", "sh", "-c", NAMED, "sh", name])
            .args(through);
        command
            .arg(tapetum_program()?)
            .args(["run", "-c"])
            .arg(&file);
        let process = place.start(name, &mut command)?;
        Ok(Self {
            process,
            place: place.clone(),
            spans,
        })
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// If the agent ends first or never becomes ready.
    pub fn ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{ADMIN_PORT}/readyz");
        let (process, place) = (&mut self.process, &self.place);
        until("the agent to be ready", PATIENCE, || {
            if let Some(status) = process.ended()? {
                bail!(
                    "the agent ended ({status}): {}{}",
                    process.output(),
                    process.errors()
                );
            }
            Ok(http::get(place, &url).ok())
        })
        .with_context(|| process.errors())?;
        Ok(())
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.errors()
    }

    /// Every span that it has written so far.
    ///
    /// # Errors
    /// If the file holds something else.
    pub fn spans(&self) -> Result<Vec<Span>> {
        match fs::read_to_string(&self.spans) {
            Ok(text) => Span::parse_lines(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the spans say what `enough` asks for.
    ///
    /// # Errors
    /// If they never do, with how many there were.
    pub fn ledger_until(&self, what: &str, enough: impl Fn(&Ledger) -> bool) -> Result<Ledger> {
        let mut seen = 0;
        until(what, PATIENCE, || {
            let spans = self.spans()?;
            seen = spans.len();
            let ledger = Ledger::of(spans);
            Ok(enough(&ledger).then_some(ledger))
        })
        .with_context(|| format!("{seen} spans in all; {}", self.log()))
    }

    /// The agent's own telemetry, as text.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn own_metrics(&self) -> Result<String> {
        http::get(
            &self.place,
            &format!("http://127.0.0.1:{ADMIN_PORT}/metrics"),
        )
    }

    /// Waits until a counter of the agent's own, over the series with these labels, is as high.
    ///
    /// # Errors
    /// If it never is, with what it is.
    pub fn own_counter_until(
        &self,
        metric: &str,
        labels: &[(&str, &str)],
        least: f64,
    ) -> Result<f64> {
        let mut last = 0.0;
        until(metric, PATIENCE, || {
            last = sum(&self.own_metrics()?, metric, labels);
            Ok((last >= least).then_some(last))
        })
        .with_context(|| format!("it is {last}, not {least}"))
    }

    /// The scraped metrics, as text.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn metrics(&self) -> Result<String> {
        http::get(
            &self.place,
            &format!("http://127.0.0.1:{SCRAPE_PORT}/metrics"),
        )
    }

    /// Where a Prometheus in the same namespace scrapes it.
    #[must_use]
    pub fn scrape_target(&self) -> String {
        format!("127.0.0.1:{SCRAPE_PORT}")
    }

    /// Ends it as an operator would.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.signal("TERM")?;
        self.process.wait(PATIENCE)
    }

    /// Ends it without a last word.
    ///
    /// # Errors
    /// If it does not end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.signal("KILL")?;
        self.process.wait(PATIENCE)
    }
}

/// The sum of a metric's samples in Prometheus text, over the series that have all these labels.
#[must_use]
pub fn sum(text: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let series = text.lines().filter(|line| {
        let name = line.split(['{', ' ']).next();
        name == Some(metric)
            && labels
                .iter()
                .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    });
    series
        .filter_map(|line| {
            let after = line
                .rsplit_once('}')
                .map_or_else(|| line.split_once(' '), Some)?
                .1;
            after.split_whitespace().next()?.parse::<f64>().ok()
        })
        .sum()
}
