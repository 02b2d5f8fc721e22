//! The sender: so many connections of such a shape, at such a pace.

use std::{
    io::{self, Read as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::json;

use super::{Counted, EXCHANGE, Ending, FINISH, Frame, HALF, RESET, print};

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to.
    pub to: SocketAddr,
    /// How many connections, numbered from `first`.
    pub connections: u64,
    /// The number of the first connection.
    pub first: u64,
    /// Bytes from here to there in each exchange.
    pub up: u64,
    /// Bytes from there to here in each exchange.
    pub down: u64,
    /// Connection n carries n % `vary` bytes more each way, so that mixing two up shows.
    pub vary: u64,
    /// How many exchanges a connection makes.
    pub exchanges: u64,
    /// The pause between two exchanges.
    pub pause: Duration,
    /// Connections a second in all; 0 is as fast as it goes.
    pub per_second: u64,
    /// How many connections at a time.
    pub at_once: u64,
    /// How each one ends.
    pub ending: Ending,
}

/// Carries the plan out; each connection is reported as it ends.
///
/// # Errors
/// If a thread cannot be started.
pub fn send(plan: &Plan) -> Result<()> {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..plan.at_once.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= plan.connections {
                        return;
                    }
                    if let Some(due_ms) = (index * 1000).checked_div(plan.per_second) {
                        let due = started + Duration::from_millis(due_ms);
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    connection(plan, plan.first + index);
                }
            });
        }
    });
    Ok(())
}

fn connection(plan: &Plan, id: u64) {
    let started = Instant::now();
    let stream = match TcpStream::connect(plan.to) {
        Ok(stream) => stream,
        Err(error) => {
            print(&json!({ "id": id, "peer": plan.to.to_string(), "failed": error.to_string() }));
            return;
        }
    };
    let connect_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Ok(mut counted) = Counted::new(stream) else {
        return;
    };
    let end = match converse(plan, id, &mut counted) {
        Ok(end) => end.to_owned(),
        Err(error) => error.to_string(),
    };
    let mut report = counted.report(id, &end);
    report["connect_us"] = connect_us.into();
    drop(counted);
    print(&report);
}

fn converse(plan: &Plan, id: u64, counted: &mut Counted) -> io::Result<&'static str> {
    let more = id.checked_rem(plan.vary).unwrap_or(0);
    let (up, down) = (plan.up + more, plan.down + more);
    for round in 0..plan.exchanges {
        if round > 0 {
            thread::sleep(plan.pause);
        }
        exchange(counted, id, up, down)?;
    }
    finish(counted, id, plan.ending, up, down)
}

/// Both directions at once; comes back when the server has said that it read everything.
pub(super) fn exchange(counted: &mut Counted, id: u64, up: u64, down: u64) -> io::Result<()> {
    counted.write(
        &Frame {
            operation: EXCHANGE,
            id,
            up,
            down,
        }
        .encode(),
    )?;
    counted.exchange(up, down + 1)
}

/// Ends the connection and says how.
pub(super) fn finish(
    counted: &mut Counted,
    id: u64,
    ending: Ending,
    up: u64,
    down: u64,
) -> io::Result<&'static str> {
    let frame = |operation| {
        Frame {
            operation,
            id,
            up: 0,
            down: 0,
        }
        .encode()
    };
    match ending {
        Ending::Fin => Ok("fin-sent"),
        Ending::Reset => counted.reset().map(|()| "reset-sent"),
        Ending::ServerFin => {
            counted.write(&frame(FINISH))?;
            read_to_end(counted).map(|()| "fin")
        }
        Ending::ServerReset => {
            counted.write(&frame(RESET))?;
            match read_to_end(counted) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok("reset"),
                Err(error) => Err(error),
                Ok(()) => Ok("fin"),
            }
        }
        Ending::Half => {
            counted.write(
                &Frame {
                    operation: HALF,
                    id,
                    up,
                    down,
                }
                .encode(),
            )?;
            counted.exchange(up, 0)?;
            counted.stream.shutdown(Shutdown::Write)?;
            read_to_end(counted).map(|()| "half")
        }
    }
}

fn read_to_end(counted: &mut Counted) -> io::Result<()> {
    let mut buffer = [0; super::CHUNK];
    loop {
        match counted.stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => counted.received += count as u64,
        }
    }
}
