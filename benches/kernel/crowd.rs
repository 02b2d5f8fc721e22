//! Very many sockets, held by several processes, since one may not open enough of them.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Connections one process holds: twice as many descriptors.
const EACH: usize = 8_000;

/// Processes that hold connections until this is dropped.
pub(crate) struct Crowd {
    holders: Vec<Child>,
    /// Sockets, two a connection.
    pub(crate) sockets: usize,
}

impl Crowd {
    /// Opens connections until there are this many sockets.
    pub(crate) fn gather(sockets: usize) -> Result<Crowd> {
        let mut crowd = Crowd {
            holders: Vec::new(),
            sockets: 0,
        };
        while crowd.sockets < sockets {
            let connections = ((sockets - crowd.sockets) / 2).min(EACH);
            let mut child = Command::new(std::env::current_exe()?)
                .args(["hold", &connections.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("a process that holds sockets")?;
            let said = BufReader::new(child.stdout.take().context("its output")?);
            crowd.holders.push(child);
            let line = said.lines().next().context("it ended early")??;
            ensure!(line == "held", "it said {line}");
            crowd.sockets += 2 * connections;
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            drop(holder.stdin.take());
        }
        for holder in &mut self.holders {
            let _ = holder.wait();
        }
    }
}

/// What such a process does: connect, say so, wait for the end of its input.
pub(crate) fn hold(connections: Option<String>) -> Result<()> {
    let connections: usize = connections.context("how many")?.parse()?;
    let limit = libc::rlimit {
        rlim_cur: 20_000,
        rlim_max: 20_000,
    };
    // SAFETY: one rlimit, live for the call. Where it fails, opening says so.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut held = Vec::with_capacity(2 * connections);
    for _ in 0..connections {
        held.push(TcpStream::connect(address)?);
        held.push(listener.accept()?.0);
    }
    println!("held");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
