//! The first process of an emulated machine: makes it habitable, watches connections of its own
//! with the probe and with the agent, reports, and switches the machine off.

mod agent;
mod setup;
mod traffic;
mod watch;

use std::env;
use std::io::Write;

use anyhow::Result;
use serde_json::json;
use tapetum_vm::report::{self, Check, END, FAILED};

fn main() -> Result<()> {
    if env::args().nth(1).is_some_and(|role| role == "far") {
        return traffic::serve();
    }
    let outcome = setup::filesystems().and_then(|()| {
        let mut port = setup::report_port()?;
        let outcome = run(&mut port);
        let last = match &outcome {
            Ok(()) => Check {
                check: END.to_owned(),
                ..Check::default()
            },
            Err(error) => Check {
                check: FAILED.to_owned(),
                more: format!("{error:#}").into(),
                ..Check::default()
            },
        };
        report::write(&mut port, &last)?;
        outcome
    });
    if let Err(error) = outcome {
        eprintln!("guest: {error:#}");
    }
    setup::off();
}

fn run(port: &mut impl Write) -> Result<()> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = Check {
        check: "kernel".to_owned(),
        more: json!({ "release": release.trim() }),
        ..Check::default()
    };
    report::write(port, &kernel)?;
    let mut far = traffic::Far::start()?;
    watch::run(&mut far, port)?;
    agent::run(&mut far, port)
}
