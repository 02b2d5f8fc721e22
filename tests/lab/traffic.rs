//! The counting peers as a test holds them: a server in one pod, senders and talkers in others.

use std::{collections::BTreeMap, io::Write as _, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub use crate::peer::Plan;

use crate::{
    peer::Ending,
    place::{Place, Process, until},
    programs::lab_program,
};

/// How long a counted thing that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one end counted of one connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Count {
    /// The number that the plan gave the connection.
    pub id: u64,
    /// The end's own address.
    pub local: SocketAddr,
    /// The other address that it sees.
    pub peer: SocketAddr,
    /// Payload bytes written.
    pub sent: u64,
    /// Payload bytes read.
    pub received: u64,
    /// How it ended for this end.
    pub end: String,
}

impl Count {
    fn parse(line: &Value) -> Option<Self> {
        Some(Self {
            id: line["id"].as_u64()?,
            local: address(&line["local"])?,
            peer: address(&line["peer"])?,
            sent: line["sent"].as_u64()?,
            received: line["received"].as_u64()?,
            end: line["end"].as_str()?.to_owned(),
        })
    }
}

/// An address as it is on the wire: a socket of both families calls an IPv4 address a mapped one.
fn address(value: &Value) -> Option<SocketAddr> {
    let address: SocketAddr = value.as_str()?.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// A receiver in a pod.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts one; it listens when this returns.
    ///
    /// # Errors
    /// If it does not come to listen.
    pub fn start(place: &Place, address: SocketAddr) -> Result<Self> {
        let mut command = place.command(lab_program()?);
        command.args(["peer", "serve", "--listen", &address.to_string()]);
        let process = place.start("peer-serve", &mut command)?;
        until("a receiver to listen", PATIENCE, || {
            Ok(process.output().contains("listening").then_some(()))
        })
        .with_context(|| process.errors())?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it counted, by connection, once it has counted as many as `connections`.
    ///
    /// # Errors
    /// If it does not come to that many.
    pub fn counts(&self, connections: usize) -> Result<BTreeMap<u64, Count>> {
        until(
            &format!("{connections} connections at the receiver"),
            PATIENCE,
            || {
                let counts = parse(&self.process.output());
                Ok((counts.len() >= connections).then_some(counts))
            },
        )
    }
}

/// Carries a plan out in a pod and gives back what the sender counted.
///
/// # Errors
/// If a connection fails.
pub fn send(place: &Place, plan: &Plan) -> Result<BTreeMap<u64, Count>> {
    let mut process = start(place, plan)?;
    let patience = PATIENCE + plan.pause * u32::try_from(plan.exchanges).unwrap_or(u32::MAX);
    let status = process.wait(patience)?;
    let counts = parse(&process.output());
    if !status.success() || counts.len() as u64 != plan.connections {
        let failed: String = process
            .output()
            .lines()
            .filter(|line| line.contains("failed"))
            .collect();
        bail!(
            "{} of {} connections: {failed} {}",
            counts.len(),
            plan.connections,
            process.errors()
        );
    }
    Ok(counts)
}

/// Starts to carry a plan out; failures are in what the process prints.
///
/// # Errors
/// If the sender does not start.
pub fn start(place: &Place, plan: &Plan) -> Result<Process> {
    let ending = Ending::NAMES
        .iter()
        .find(|(_, ending)| *ending == plan.ending);
    let ending = ending.map_or("fin", |(name, _)| name);
    let mut command = place.command(lab_program()?);
    command.args([
        "peer",
        "send",
        "--to",
        &plan.to.to_string(),
        "--ending",
        ending,
    ]);
    for (name, value) in [
        ("--connections", plan.connections),
        ("--first", plan.first),
        ("--up", plan.up),
        ("--down", plan.down),
        ("--vary", plan.vary),
        ("--exchanges", plan.exchanges),
        ("--pause-ms", u64::try_from(plan.pause.as_millis())?),
        ("--per-second", plan.per_second),
        ("--at-once", plan.at_once),
    ] {
        command.args([name, &value.to_string()]);
    }
    place.start("peer-send", &mut command)
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            to: SocketAddr::from(([127, 0, 0, 1], 1)),
            connections: 1,
            first: 1,
            up: 1000,
            down: 2000,
            vary: 0,
            exchanges: 1,
            pause: Duration::ZERO,
            per_second: 0,
            at_once: 1,
            ending: Ending::Fin,
        }
    }
}

/// Holds so many connections open for as long as the process lives; all are open when this returns.
///
/// # Errors
/// If one cannot be opened.
pub fn hold(place: &Place, to: SocketAddr, connections: u64) -> Result<Process> {
    let mut command = place.command(lab_program()?);
    command.args(["peer", "hold", "--to", &to.to_string()]);
    command
        .args(["--connections", &connections.to_string()])
        .stdin(Stdio::piped());
    let mut process = place.start("peer-hold", &mut command)?;
    until("the connections to be open", PATIENCE, || {
        if process.ended()?.is_some() {
            bail!("the holder ended: {}", process.errors());
        }
        Ok((process.output().lines().count() as u64 >= connections).then_some(()))
    })?;
    Ok(process)
}

/// One connection that does what it is told.
#[derive(Debug)]
pub struct Talk {
    process: Process,
    lines: usize,
}

impl Talk {
    /// Connects; the connection is established when this returns.
    ///
    /// # Errors
    /// If it cannot.
    pub fn open(place: &Place, to: SocketAddr, id: u64) -> Result<Self> {
        let mut command = place.command(lab_program()?);
        command.args([
            "peer",
            "talk",
            "--to",
            &to.to_string(),
            "--id",
            &id.to_string(),
        ]);
        let process = place.start("peer-talk", command.stdin(Stdio::piped()))?;
        let mut talk = Self { process, lines: 0 };
        talk.answer()?;
        Ok(talk)
    }

    /// Sends and receives so many bytes; all of them have been read when this returns.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn exchange(&mut self, up: u64, down: u64) -> Result<Count> {
        self.say(&format!("exchange {up} {down}"))?;
        self.answer()
    }

    /// Ends the connection.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn end(mut self, ending: &str) -> Result<Count> {
        self.say(&format!("end {ending}"))?;
        self.answer()
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let pipe = self
            .process
            .stdin()
            .context("the talker has no standard input")?;
        writeln!(pipe, "{line}").context("the talker is gone")
    }

    fn answer(&mut self) -> Result<Count> {
        let (process, seen) = (&mut self.process, self.lines);
        let count = until("the talker", PATIENCE, || {
            let output = process.output();
            // A line is an answer only once it is whole.
            let whole = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let line = whole.lines().nth(seen).map(str::to_owned);
            if line.is_none() && process.ended()?.is_some() {
                bail!("the talker ended: {}", process.errors());
            }
            Ok(line)
        })?;
        self.lines += 1;
        Count::parse(&serde_json::from_str(&count)?).context("the talker said no count")
    }
}

fn parse(output: &str) -> BTreeMap<u64, Count> {
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter_map(|line: Value| Count::parse(&line))
        .map(|count| (count.id, count))
        .collect()
}
