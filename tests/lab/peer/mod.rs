//! The judges of bytes: a sender and a receiver that count every payload byte they write and read.
//!
//! They speak in frames so that both ends know what is to come and can wait for it: a byte that was
//! counted at one end has been read at the other before the connection ends, also where it ends by a reset.
//! What the frames themselves weigh is counted too: it is payload like any other.

mod hold;
mod send;
mod serve;
mod talk;

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use socket2::SockRef;

pub use hold::hold;
pub use send::{Plan, send};
pub use serve::serve;
pub use talk::talk;

/// Operation, connection, bytes from client to server, bytes from server to client.
const FRAME: usize = 25;
/// What fits into any socket's buffers, so that it can be written before the other end reads.
const AT_ONCE_MAX: u64 = 8 << 10;
const CHUNK: usize = 64 << 10;

/// How a connection ends, and who ends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The client closes.
    Fin,
    /// The server closes.
    ServerFin,
    /// The client says that it will send no more, the server answers at length and closes.
    Half,
    /// The client resets.
    Reset,
    /// The server resets.
    ServerReset,
}

impl Ending {
    /// The names on the command line.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("fin", Self::Fin),
        ("server-fin", Self::ServerFin),
        ("half", Self::Half),
        ("reset", Self::Reset),
        ("server-reset", Self::ServerReset),
    ];

    /// The ending of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(name: &str) -> Result<Self> {
        let Some((_, ending)) = Self::NAMES.iter().find(|(known, _)| *known == name) else {
            bail!("no ending is called {name}: fin, server-fin, half, reset or server-reset");
        };
        Ok(*ending)
    }
}

/// One request of the client.
#[derive(Clone, Copy, Debug)]
struct Frame {
    operation: u8,
    id: u64,
    up: u64,
    down: u64,
}

const EXCHANGE: u8 = b'X';
const HALF: u8 = b'H';
const RESET: u8 = b'R';
const FINISH: u8 = b'F';

impl Frame {
    fn encode(self) -> [u8; FRAME] {
        let mut bytes = [self.operation; FRAME];
        bytes[1..9].copy_from_slice(&self.id.to_be_bytes());
        bytes[9..17].copy_from_slice(&self.up.to_be_bytes());
        bytes[17..].copy_from_slice(&self.down.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; FRAME]) -> Self {
        let number = |from: usize| {
            bytes[from..from + 8]
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        Self {
            operation: bytes[0],
            id: number(1),
            up: number(9),
            down: number(17),
        }
    }
}

/// One end of a connection with its two counters.
#[derive(Debug)]
struct Counted {
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    sent: u64,
    received: u64,
}

impl Counted {
    fn new(stream: TcpStream) -> io::Result<Self> {
        // Frames and answers are small: waiting to fill a segment would only make tests slow.
        stream.set_nodelay(true)?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        Ok(Self {
            stream,
            local,
            peer,
            sent: 0,
            received: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_counted(&self.stream, bytes, &mut self.sent)
    }

    /// Sends `out` bytes and receives `back` bytes, both at once if they do not fit into buffers.
    fn exchange(&mut self, out: u64, back: u64) -> io::Result<()> {
        let Self {
            stream,
            sent,
            received,
            ..
        } = self;
        if out <= AT_ONCE_MAX {
            send_counted(stream, out, sent)?;
            return receive_counted(stream, back, received);
        }
        let stream = &*stream;
        thread::scope(|scope| {
            let sender = scope.spawn(move || send_counted(stream, out, sent));
            let outcome = receive_counted(stream, back, received);
            sender
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the sending half panicked")))?;
            outcome
        })
    }

    /// Closes without a FIN.
    fn reset(&self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    /// What this end says of the connection, once it is over.
    fn report(&self, id: u64, end: &str) -> Value {
        json!({
            "id": id,
            "local": self.local.to_string(),
            "peer": self.peer.to_string(),
            "sent": self.sent,
            "received": self.received,
            "end": end,
        })
    }
}

fn write_counted(mut stream: &TcpStream, mut bytes: &[u8], sent: &mut u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                *sent += count as u64;
                bytes = &bytes[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_counted(stream: &TcpStream, count: u64, sent: &mut u64) -> io::Result<()> {
    let chunk = [0x5a; CHUNK];
    let mut left = count;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        write_counted(stream, &chunk[..now], sent)?;
        left -= now as u64;
    }
    Ok(())
}

fn receive_counted(mut stream: &TcpStream, count: u64, received: &mut u64) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    let mut left = count;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        match stream.read(&mut chunk[..now]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                *received += count as u64;
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A line a connection, whole even where many threads print.
fn print(line: &Value) {
    let mut text = line.to_string();
    text.push('\n');
    // Nobody is left to tell if standard output is gone.
    let _ = io::stdout().lock().write_all(text.as_bytes());
}
