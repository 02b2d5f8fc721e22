//! Many connections that stay open, by one process, until its standard input ends.

use std::{
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result};

use super::{Counted, print, send::exchange};

/// Opens so many connections, says a little on each and holds them.
///
/// # Errors
/// If one cannot be opened.
pub fn hold(to: SocketAddr, connections: u64) -> Result<()> {
    let mut held = Vec::new();
    for id in 1..=connections {
        let stream = TcpStream::connect(to).with_context(|| format!("connection {id} to {to}"))?;
        let mut counted = Counted::new(stream)?;
        exchange(&mut counted, id, 100, 100)?;
        print(&counted.report(id, "open"));
        held.push(counted);
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
