//! What the TCP probe costs, on this kernel, beside what it may cost.
//!
//! Everything runs in a network namespace of its own, over loopback. A figure that misses its target
//! is marked and makes the exit code 1; on a machine that others use, run it again before believing it.

mod crowd;
mod per_connection;
mod per_gigabyte;
mod per_socket;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use tapetum_benches::Figure;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some("hold") => crowd::hold(arguments.next()).map(|()| Vec::new()),
        only => figures(only),
    };
    match outcome {
        Ok(figures) if figures.iter().all(Figure::met) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All of them, or those of one argument: `connection`, `gigabyte`, `socket`.
fn figures(only: Option<&str>) -> Result<Vec<Figure>> {
    fresh_namespace()?;
    let wanted = |name| only.is_none_or(|only| only == name);
    let mut figures = Vec::new();
    if wanted("connection") {
        figures.extend(per_connection::measure()?);
    }
    if wanted("gigabyte") {
        figures.extend(per_gigabyte::measure()?);
    }
    if wanted("socket") {
        figures.extend(per_socket::measure()?);
    }
    ensure!(
        !figures.is_empty(),
        "no such figures: ask for connection, gigabyte or socket"
    );
    Ok(figures)
}

/// Only our own sockets are then on this loopback; other namespaces' still pass through the probe.
fn fresh_namespace() -> Result<()> {
    // SAFETY: no arguments but a flag; only this thread's view of the network changes.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    ensure!(
        done == 0,
        "no network namespace of its own ({}): run as root",
        std::io::Error::last_os_error()
    );
    let status = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    ensure!(
        status
            .context("ip could not be run: install iproute2")?
            .success(),
        "no loopback"
    );
    Ok(())
}
