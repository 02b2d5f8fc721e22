//! What the shop's processes do all day: ask each other for things, a line a request.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use socket2::SockRef;

/// How long the flaky cache is in each of its two moods.
const MOOD: Duration = Duration::from_secs(2);
/// A line that a cache answers, and one that the api makes of it.
const VALUE: [u8; 1024] = [b'v'; 1024];
const PAGE: [u8; 4096] = [b'p'; 4096];

/// Does the work of `role` until the process is ended.
///
/// # Errors
/// If the role is unknown or its address cannot be listened on.
pub fn trade(role: &str, addresses: &[SocketAddr]) -> Result<()> {
    match (role, addresses) {
        ("web", [api]) => {
            let visits: Vec<_> = (0..2).map(|_| spawn_visitor(*api)).collect();
            visits.into_iter().try_for_each(|visit| {
                visit
                    .join()
                    .map_err(|_| anyhow::anyhow!("a visitor panicked"))
            })
        }
        ("api", [listen, cache]) => {
            let cache = *cache;
            serve(*listen, move |_| ask(cache, b"get\n").map(|_| &PAGE[..]))
        }
        ("cache", [listen]) => serve(*listen, |_| Ok(&VALUE[..])),
        ("cache-flaky", [listen]) => flake(*listen),
        _ => bail!("the shop has no {role} with {} addresses", addresses.len()),
    }
}

/// A visitor asks five things over one connection, goes, and comes again; an error does not stop it.
fn spawn_visitor(api: SocketAddr) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let _ = visit(api);
            thread::sleep(Duration::from_millis(300));
        }
    })
}

fn visit(api: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(api)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    for _ in 0..5 {
        stream.write_all(b"page\n")?;
        answers.read_line(&mut String::new())?;
        thread::sleep(Duration::from_millis(150));
    }
    Ok(())
}

/// One question over a connection of its own.
fn ask(whom: SocketAddr, question: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(whom)?;
    stream.write_all(question)?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

/// Answers each line by what `answer` makes of it; what fails is answered by a line that says so.
fn serve(
    listen: SocketAddr,
    answer: impl Fn(&str) -> io::Result<&'static [u8]> + Clone + Send + 'static,
) -> Result<()> {
    let listener = bind(listen)?;
    for stream in listener.incoming().flatten() {
        let answer = answer.clone();
        thread::spawn(move || -> io::Result<()> {
            let mut writer = stream.try_clone()?;
            for line in BufReader::new(stream).lines() {
                let mut reply = answer(&line?).unwrap_or(b"sorry").to_vec();
                reply.push(b'\n');
                writer.write_all(&reply)?;
            }
            Ok(())
        });
    }
    Ok(())
}

/// For a while everybody is reset, for a while nobody is there.
fn flake(listen: SocketAddr) -> Result<()> {
    loop {
        let listener = bind(listen)?;
        listener.set_nonblocking(true)?;
        let until = Instant::now() + MOOD;
        while Instant::now() < until {
            if let Ok((stream, _)) = listener.accept() {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            } else {
                thread::sleep(Duration::from_millis(5));
            }
        }
        drop(listener);
        thread::sleep(MOOD);
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))
}
