//! The load: what runs inside of the pods. As lean as it can be, so that what an agent takes from it
//! shows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::clock::cpu_time;

/// Bytes each way on a short connection.
const MESSAGE: usize = 100;
/// Servers and clients at a time: enough to keep two processors busy.
const AT_ONCE: u32 = 4;

/// Answers short connections until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening");
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Ok((mut stream, _)) = listener.accept() else {
                        continue;
                    };
                    let mut asked = [0; MESSAGE];
                    // What a client did wrong is the client's to say.
                    let _ = stream
                        .read_exact(&mut asked)
                        .and_then(|()| stream.write_all(&asked));
                }
            });
        }
    });
    Ok(())
}

/// Makes so many short connections and prints how long they took, and what of the processors.
pub(crate) fn send(to: SocketAddr, connections: u32) -> Result<()> {
    let begun = Instant::now();
    let each = connections / AT_ONCE;
    thread::scope(|scope| {
        let senders: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(move || (0..each).try_for_each(|_| one(to))))
            .collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().expect("a sender does not panic"))
    })?;
    let cpu = cpu_time(std::process::id())?;
    println!("{} {}", begun.elapsed().as_secs_f64(), cpu.as_secs_f64());
    Ok(())
}

/// The server has closed when this returns, so that the client's port is free again at once.
fn one(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to).context("connecting")?;
    stream.write_all(&[1; MESSAGE])?;
    let mut answer = Vec::with_capacity(MESSAGE);
    stream.read_to_end(&mut answer)?;
    anyhow::ensure!(answer.len() == MESSAGE, "an answer of {}", answer.len());
    Ok(())
}

/// Opens so many connections to itself and holds both their ends until the process is ended.
pub(crate) fn hold(address: SocketAddr, connections: u32) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let mut held = Vec::new();
    for count in 0..connections {
        let stream = TcpStream::connect(address);
        held.push(stream.with_context(|| format!("connection {count} of {connections}"))?);
        held.push(listener.accept()?.0);
    }
    println!("listening");
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
