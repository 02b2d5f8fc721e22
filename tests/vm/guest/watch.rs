//! The probe by itself: one line a stage of a few connections' lives, from before the probe to the
//! end.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tapetum_probes::loader::{Host, TCP_HOOKS, checks, facts};
use tapetum_probes::tcp::{Event, Options, Probe, Role, Row, flags};
use tapetum_vm::report::{self, Check, Counted, Seen};

use crate::traffic::{CGROUP, Client, Far, V4, V6, remote};

/// What the kernel tells takes a moment; what takes longer never comes.
const NEVER_COMES: Duration = Duration::from_secs(30);

/// Short connections, each with another number of bytes.
const SHORT: u64 = 300;

/// Goes through all stages.
pub(crate) fn run(far: &mut Far, port: &mut impl Write) -> Result<()> {
    let mut clients = Vec::new();
    let mut counted = Vec::new();
    for address in [V4, V6] {
        let mut client = Client::connect(address)?;
        counted.extend(client.exchange(70_001, 123_457, far)?);
        clients.push(client);
    }
    // One over which nothing was said before the probe came.
    clients.push(Client::connect(V4)?);

    let mut watch = Watch::start(port)?;
    let adopted = watch.probe.adopt()?;
    let seen = watch.drained()?;
    let more = json!({
        "connections": adopted.connections,
        "listeners": adopted.listeners,
        "untold": adopted.untold,
        "pid": far.pid(),
        "cgroup": fs::metadata(CGROUP)?.ino(),
    });
    watch.say("adoption", counted, seen, more)?;

    let mut client = Client::connect(V4)?;
    let counted = client.exchange(11, 22, far)?.to_vec();
    clients.push(client);
    let seen = watch.until("Opened", 2)?;
    watch.say("birth", counted, seen, Value::Null)?;

    let mut counted = Vec::new();
    for client in &mut clients {
        counted.extend(client.exchange(3_000_003, 5_000_005, far)?);
    }
    let sweep = watch.probe.sweep()?;
    let seen = watch.drained()?;
    watch.say(
        "sweep",
        counted,
        seen,
        json!({ "rows": sweep.rows, "lost": sweep.lost }),
    )?;

    let mut counted = Vec::new();
    for client in clients {
        counted.extend(client.finish(far)?);
    }
    let seen = watch.until("Closed", counted.len())?;
    watch.say("close", counted, seen, Value::Null)?;

    refused_and_reset(&mut watch, far)?;
    short_ones(&mut watch, far)?;
    cgroup_made(&mut watch)?;
    totals(&mut watch)
}

fn refused_and_reset(watch: &mut Watch<'_, impl Write>, far: &mut Far) -> Result<()> {
    let mut nobody = remote(V4)?;
    nobody.set_port(1);
    if TcpStream::connect(nobody).is_ok() {
        bail!("somebody listens at {nobody}");
    }
    let seen = watch.until("Closed", 1)?;
    watch.say("refused", Vec::new(), seen, Value::Null)?;

    let counted = Client::connect(V6)?.abandon(5_000, far)?.to_vec();
    let seen = watch.until("Closed", 2)?;
    watch.say("reset", counted, seen, Value::Null)
}

fn short_ones(watch: &mut Watch<'_, impl Write>, far: &mut Far) -> Result<()> {
    let mut counted = Vec::new();
    for number in 0..SHORT {
        let mut client = Client::connect(V4)?;
        client.exchange(number, number * 3, far)?;
        counted.extend(client.finish(far)?);
    }
    let seen = watch.until("Closed", counted.len())?;
    watch.say("short", counted, seen, Value::Null)
}

fn cgroup_made(watch: &mut Watch<'_, impl Write>) -> Result<()> {
    let path = "/sys/fs/cgroup/far/late";
    fs::create_dir(path)?;
    let id = fs::metadata(path)?.ino();
    let mut made = Vec::new();
    watch.probe.drain(&mut |event| {
        if let Event::CgroupMade(group) = event {
            let path = String::from_utf8_lossy(group.path);
            made.push(json!({ "id": group.id, "path": path, "level": group.level }));
        }
    });
    watch.say(
        "cgroup",
        Vec::new(),
        Vec::new(),
        json!({ "id": id, "made": made }),
    )
}

fn totals(watch: &mut Watch<'_, impl Write>) -> Result<()> {
    let counters = watch.probe.counters()?;
    let more = json!({
        "tracked": counters.tracked,
        "listeners": counters.listeners,
        "births": counters.births,
        "opened": counters.opened,
        "closes": counters.closes,
        "adopted": counters.adopted,
        "lost": counters.ring_lost.total(),
        "no_memory": counters.no_memory,
        "ghosts": counters.ghosts,
        "malformed": watch.probe.malformed(),
    });
    watch.say("totals", Vec::new(), Vec::new(), more)
}

struct Watch<'a, W> {
    probe: Probe,
    port: &'a mut W,
}

impl<'a, W: Write> Watch<'a, W> {
    fn start(port: &'a mut W) -> Result<Watch<'a, W>> {
        let probe = Probe::start(&Options::default()).context("the probe does not start")?;
        let rows = checks(
            &facts(&Host::default(), &TCP_HOOKS),
            &TCP_HOOKS,
            probe.missing(),
        );
        let mut watch = Watch { probe, port };
        watch.say(
            "doctor",
            Vec::new(),
            Vec::new(),
            serde_json::to_value(rows)?,
        )?;
        Ok(watch)
    }

    fn say(
        &mut self,
        check: &str,
        counted: Vec<Counted>,
        seen: Vec<Seen>,
        more: Value,
    ) -> Result<()> {
        let check = Check {
            check: check.to_owned(),
            counted,
            seen,
            more,
        };
        Ok(report::write(self.port, &check)?)
    }

    fn drained(&mut self) -> Result<Vec<Seen>> {
        let mut rows = Vec::new();
        self.probe.drain(&mut |event| rows.extend(seen(&event)));
        Ok(rows)
    }

    /// Drains until so many records of a kind came.
    fn until(&mut self, kind: &str, count: usize) -> Result<Vec<Seen>> {
        let begun = Instant::now();
        let mut rows = Vec::new();
        loop {
            rows.extend(self.drained()?);
            let came = rows.iter().filter(|row: &&Seen| row.event == kind).count();
            if came >= count {
                return Ok(rows);
            }
            if begun.elapsed() > NEVER_COMES {
                bail!("{came} of {count} {kind} records came: {rows:?}");
            }
            self.probe.wait(Duration::from_millis(200))?;
        }
    }
}

fn seen(event: &Event<'_>) -> Option<Seen> {
    Some(match event {
        Event::Opened(row) => self::row("Opened", row),
        Event::Closed(row) => Seen {
            end: format!("{:?}", row.end()),
            failure: row.failure().map(|failure| format!("{failure:?}")),
            ..self::row("Closed", row)
        },
        Event::Adopted(row) => self::row("Adopted", row),
        Event::Swept(row) => self::row("Swept", row),
        Event::Listening(row) => self::row("Listening", row),
        Event::ListenerClosed(row) => self::row("ListenerClosed", row),
        // Everything here moved before the sweep, so that a row of each is due.
        Event::Unchanged { .. }
        | Event::SweepBegan { .. }
        | Event::SweepEnded(_)
        | Event::CgroupMade(_) => return None,
    })
}

fn row(event: &str, row: &Row) -> Seen {
    let known = row.has(flags::ISN);
    Seen {
        event: event.to_owned(),
        role: match row.role() {
            Role::Client => "client",
            Role::Server => "server",
            Role::Unknown => "unknown",
        }
        .to_owned(),
        local: row.local().to_string(),
        peer: row.peer().to_string(),
        id: row.id,
        sent: row.bytes_sent,
        received: row.bytes_received,
        isn_own: known.then_some(row.isn_own),
        isn_peer: known.then_some(row.isn_peer),
        pid: row.pid,
        comm: String::from_utf8_lossy(row.comm()).into_owned(),
        cgroup: row.cgroup_id,
        netns: row.netns_cookie,
        end: String::new(),
        failure: None,
    }
}
