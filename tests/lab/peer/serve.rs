//! The receiver: answers frames, one thread a connection, and says what it counted as each one ends.

use std::{
    io::{self, ErrorKind, Read as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    CHUNK, Counted, EXCHANGE, FINISH, FRAME, Frame, HALF, RESET, print, receive_counted,
    send_counted,
};

/// Listens until the process is ended.
///
/// # Errors
/// If the address cannot be listened on.
pub fn serve(address: SocketAddr) -> Result<()> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    print(&json!({ "listening": listener.local_addr()?.to_string() }));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || connection(stream))?;
    }
    Ok(())
}

fn connection(stream: TcpStream) {
    let Ok(mut counted) = Counted::new(stream) else {
        return;
    };
    let mut id = 0;
    let end = match answer(&mut counted, &mut id) {
        Ok(end) => end.to_owned(),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "reset".to_owned(),
        Err(error) => error.to_string(),
    };
    let report = counted.report(id, &end);
    // Closed before it is reported: a report means that this end of the connection is over.
    drop(counted);
    print(&report);
}

fn answer(counted: &mut Counted, id: &mut u64) -> io::Result<&'static str> {
    loop {
        let Some(frame) = next(counted)? else {
            return Ok("fin");
        };
        *id = frame.id;
        match frame.operation {
            EXCHANGE => {
                counted.exchange(frame.down, frame.up)?;
                counted.write(b".")?;
            }
            HALF => {
                receive_counted(&counted.stream, frame.up, &mut counted.received)?;
                while read(counted, &mut [0; CHUNK])? > 0 {}
                send_counted(&counted.stream, frame.down, &mut counted.sent)?;
                counted.stream.shutdown(Shutdown::Write)?;
                return Ok("half");
            }
            RESET => {
                counted.reset()?;
                return Ok("reset-sent");
            }
            FINISH => return Ok("fin-sent"),
            _ => return Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// The next request, or nothing if the client closed between two.
fn next(counted: &mut Counted) -> io::Result<Option<Frame>> {
    let mut bytes = [0; FRAME];
    let mut filled = 0;
    while filled < FRAME {
        match read(counted, &mut bytes[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(Some(Frame::decode(&bytes)))
}

fn read(counted: &mut Counted, buffer: &mut [u8]) -> io::Result<usize> {
    let count = counted.stream.read(buffer)?;
    counted.received += count as u64;
    Ok(count)
}
