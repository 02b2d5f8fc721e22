//! `lab`: the demo, and the small programs that tests start inside pods.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tapetum_lab::{
    cluster, demo, missing,
    peer::{self, Ending, Plan},
};

const HELP: &str = "\
usage: lab demo [--seconds N] [--config FILE]     the little shop, watched by an agent
       lab check [TOOL]…                          whether a lab can be built here, and if not, why
       lab api                                    a scripted API server, led by standard input
       lab peer serve --listen ADDRESS            count what comes
       lab peer send --to ADDRESS [OPTION VALUE]… count what goes
       lab peer talk --to ADDRESS --id N          one connection, led by standard input
       lab peer hold --to ADDRESS --connections N many connections, held until standard input ends

options of send, all numbers but the last: --connections --first --up --down --vary --exchanges --pause-ms
--per-second --at-once --ending fin|server-fin|half|reset|server-reset
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["demo", options @ ..] => {
            let options = Options::parse(options)?;
            if let Some(reason) = missing(&[]) {
                bail!("the demo {reason}");
            }
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/demo.toml");
            let config = options.text("--config").map_or(shipped, PathBuf::from);
            demo::run(
                Duration::from_secs(options.number("--seconds", 20)?),
                &config,
            )
        }
        ["check", tools @ ..] => missing(tools).map_or(Ok(()), |reason| bail!("a lab {reason}")),
        ["api"] => cluster::serve(),
        ["peer", "serve", options @ ..] => {
            peer::serve(Options::parse(options)?.address("--listen")?)
        }
        ["peer", "send", options @ ..] => peer::send(&plan(&Options::parse(options)?)?),
        ["peer", "talk", options @ ..] => {
            let options = Options::parse(options)?;
            peer::talk(options.address("--to")?, options.number("--id", 1)?)
        }
        ["peer", "hold", options @ ..] => {
            let options = Options::parse(options)?;
            peer::hold(
                options.address("--to")?,
                options.number("--connections", 1)?,
            )
        }
        ["shop", role, addresses @ ..] => {
            let addresses: Result<Vec<SocketAddr>, _> =
                addresses.iter().map(|address| address.parse()).collect();
            demo::trade(role, &addresses?)
        }
        ["--help" | "help"] => Ok(std::io::stdout().write_all(HELP.as_bytes())?),
        _ => bail!(
            "what is `lab {}`? `lab help` says what there is",
            words.join(" ")
        ),
    }
}

fn plan(options: &Options<'_>) -> Result<Plan> {
    let usual = Plan::default();
    Ok(Plan {
        to: options.address("--to")?,
        connections: options.number("--connections", usual.connections)?,
        first: options.number("--first", usual.first)?,
        up: options.number("--up", usual.up)?,
        down: options.number("--down", usual.down)?,
        vary: options.number("--vary", usual.vary)?,
        exchanges: options.number("--exchanges", usual.exchanges)?,
        pause: Duration::from_millis(options.number("--pause-ms", 0)?),
        per_second: options.number("--per-second", usual.per_second)?,
        at_once: options.number("--at-once", usual.at_once)?,
        ending: Ending::parse(options.text("--ending").unwrap_or("fin"))?,
    })
}

/// Pairs of a name and a value.
struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Result<Self> {
        let pairs = words.chunks(2).map(|pair| match *pair {
            [name, value] if name.starts_with("--") => Ok((name, value)),
            _ => bail!("{} needs a name with -- and a value", pair.join(" ")),
        });
        Ok(Self(pairs.collect::<Result<_>>()?))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    fn number(&self, name: &str, usual: u64) -> Result<u64> {
        let value = self.text(name).map(str::parse).transpose();
        Ok(value
            .with_context(|| format!("{name} needs a number"))?
            .unwrap_or(usual))
    }

    fn address(&self, name: &str) -> Result<SocketAddr> {
        let value = self
            .text(name)
            .with_context(|| format!("{name} ADDRESS:PORT is missing"))?;
        value
            .parse()
            .with_context(|| format!("{name} {value} is no ADDRESS:PORT"))
    }
}
