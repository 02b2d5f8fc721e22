//! One connection on a leash: does what standard input says, a line at a time, and says what it counted.
//!
//! So a test can put an agent's start, a sweep or a restart between two bytes of a connection.

use std::{
    io::{self, BufRead as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, bail};

use super::{
    Counted, Ending, print,
    send::{exchange, finish},
};

/// Connects and obeys: `exchange UP DOWN`, or `end ENDING`, which is the last line.
///
/// # Errors
/// If the connection fails, or a line says nothing known.
pub fn talk(to: SocketAddr, id: u64) -> Result<()> {
    let stream = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
    let mut counted = Counted::new(stream)?;
    print(&counted.report(id, "open"));
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["exchange", up, down] => {
                exchange(&mut counted, id, up.parse()?, down.parse()?)?;
                print(&counted.report(id, "open"));
            }
            ["end", ending] => {
                let end = finish(&mut counted, id, Ending::parse(ending)?, 0, 0)?;
                let report = counted.report(id, end);
                drop(counted);
                print(&report);
                return Ok(());
            }
            _ => bail!("cannot {line}: exchange UP DOWN, or end ENDING"),
        }
    }
    Ok(())
}
