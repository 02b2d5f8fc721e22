//! The whole agent, as an operator runs it: started over connections that exist, stopped while one is
//! still open, its spans in a file.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tapetum_vm::debian;
use tapetum_vm::report::{self, Check};

use crate::setup::{busybox, module};
use crate::traffic::{Client, Far, V4, V6, remote};

const ADMIN: &str = "127.0.0.1:9465";
const PROGRAM: &str = "/bin/tapetum";
const SPANS: &str = "/tmp/spans";
const LOG: &str = "/tmp/log";
const FILE: &str = "/etc/tapetum.toml";

const RULES: &str = "/etc/rules";
const VIRTUAL_IP: &str = "10.96.0.1:80";

const RULES_TEXT: &str = r"
table ip translate {
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr 10.96.0.1 tcp dport 80 dnat to 10.9.0.2:7000
  }
}
";

const TEXT: &str = r#"
[service]
admin = "127.0.0.1:9465"

[receivers.tcp]
sweep = "1s"

[exporters.file]
path = "/tmp/spans"

[pipelines.connections]
receivers = ["tcp"]
exporters = ["file"]
"#;

/// An emulated processor is some twenty times slower than the one it runs on.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// Lets the agent watch, and reports what it wrote.
pub(crate) fn run(far: &mut Far, port: &mut impl Write) -> Result<()> {
    if !Path::new(PROGRAM).exists() {
        return Ok(());
    }
    translate()?;
    doctor(port)?;
    fs::write(FILE, TEXT)?;

    let virtual_ip = VIRTUAL_IP.parse()?;
    let mut old = Client::connect_to(virtual_ip)?;
    let mut held = Client::connect(V6)?;
    let before = [
        old.exchange(50_001, 60_002, far)?,
        held.exchange(31, 32, far)?,
    ]
    .concat();
    let mut agent = start()?;
    ready(&mut agent)?;

    old.exchange(7, 9, far)?;
    let mut counted = held.exchange(1_000_001, 2, far)?.to_vec();
    for address in [remote(V4)?, remote(V6)?, virtual_ip] {
        let mut client = Client::connect_to(address)?;
        client.exchange(300_003, 400_004, far)?;
        counted.extend(client.finish(far)?);
    }
    counted.extend(old.finish(far)?);
    counted.extend(Client::connect(V4)?.abandon(5_000, far)?);
    let mut nobody = remote(V4)?;
    nobody.set_port(1);
    ensure!(
        TcpStream::connect(nobody).is_err(),
        "somebody listens at {nobody}"
    );

    busybox(&["kill", "-TERM", &agent.id().to_string()])?;
    let code = ended(&mut agent)?;
    let more = json!({
        "code": code,
        "log": fs::read_to_string(LOG)?,
        "spans": fs::read_to_string(SPANS).unwrap_or_default(),
        "before": before,
    });
    say(
        port,
        Check {
            check: "agent".to_owned(),
            counted,
            more,
            ..Check::default()
        },
    )
}

/// Gives the server a virtual IP, which also makes the kernel track connections.
fn translate() -> Result<()> {
    for name in &debian::MODULES[1..] {
        module(name)?;
    }
    fs::write(RULES, RULES_TEXT)?;
    let output = Command::new("/bin/nft").args(["-f", RULES]).output()?;
    ensure!(
        output.status.success(),
        "nft: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    busybox(&["ip", "route", "add", "10.96.0.0/16", "dev", "near"])
}

fn doctor(port: &mut impl Write) -> Result<()> {
    let output = Command::new(PROGRAM).args(["doctor", "--json"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let rows: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("doctor gave no JSON: {said}"))?;
    let more = json!({ "code": output.status.code(), "rows": rows });
    say(
        port,
        Check {
            check: "agent doctor".to_owned(),
            more,
            ..Check::default()
        },
    )
}

fn say(port: &mut impl Write, check: Check) -> Result<()> {
    Ok(report::write(port, &check)?)
}

fn start() -> Result<Child> {
    let log = File::create(LOG)?;
    let mut agent = Command::new(PROGRAM);
    agent
        .args(["run", "-c", FILE])
        .stdout(Stdio::null())
        .stderr(log);
    agent.spawn().context("the agent does not start")
}

fn ready(agent: &mut Child) -> Result<()> {
    let begun = Instant::now();
    loop {
        if let Some(status) = agent.try_wait()? {
            bail!("the agent ended ({status}): {}", fs::read_to_string(LOG)?);
        }
        let answer = ask().unwrap_or_default();
        if answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        if begun.elapsed() > HANGS_AFTER {
            bail!(
                "the agent is not ready: {answer}; {}",
                fs::read_to_string(LOG)?
            );
        }
        sleep(Duration::from_millis(50));
    }
}

fn ask() -> Result<String> {
    let mut stream = TcpStream::connect(ADMIN)?;
    stream.set_read_timeout(Some(HANGS_AFTER))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {ADMIN}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ended(agent: &mut Child) -> Result<Option<i32>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = agent.try_wait()? {
            return Ok(status.code());
        }
        if begun.elapsed() > HANGS_AFTER {
            bail!("the agent does not end: {}", fs::read_to_string(LOG)?);
        }
        sleep(Duration::from_millis(50));
    }
}
