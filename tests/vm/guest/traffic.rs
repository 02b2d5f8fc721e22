//! A server in a network namespace of its own and clients of it, which both count what they send
//! and receive: the judges of what the probe says.
//!
//! A client's request is two numbers: how many bytes it sends next, how many it wants. The server says
//! on its standard output what it has counted on that connection, after each answer and at the end.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write, stdout};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use tapetum_vm::report::Counted;

use crate::setup::{busybox, module};

/// Where the server listens, on all its addresses.
pub(crate) const PORT: u16 = 7_000;
/// The server's addresses.
pub(crate) const V4: &str = "10.9.0.2";
/// The server's addresses.
pub(crate) const V6: &str = "fd09::2";
/// The server's control group.
pub(crate) const CGROUP: &str = "/sys/fs/cgroup/far";
/// The server's name.
pub(crate) const NAME: &str = "far-server";

/// The running server.
pub(crate) struct Far {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Far {
    /// Starts it and builds the way to it.
    pub(crate) fn start() -> Result<Far> {
        module("veth")?;
        fs::create_dir_all(CGROUP)?;
        let mut child = Command::new("/bin/busybox")
            .args(["unshare", "-n", "/init", "far"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("the server has no output")?;
        let mut far = Far {
            child,
            said: BufReader::new(stdout),
        };
        far.line().context("the server does not listen")?;
        let pid = far.pid().to_string();
        busybox(&["ip", "link", "add", "near", "type", "veth"])?;
        busybox(&["ip", "link", "set", "veth0", "netns", &pid])?;
        let there = ["nsenter", "-t", &pid, "-n", "/bin/busybox"];
        for (way, device, v4, v6) in [
            (&[][..], "near", "10.9.0.1/24", "fd09::1/64"),
            (&there[..], "veth0", "10.9.0.2/24", "fd09::2/64"),
        ] {
            let on = |arguments: &[&str]| busybox(&[way, arguments].concat());
            // An address is of use at once, not after a second of asking who else has it.
            on(&[
                "sysctl",
                "-qw",
                &format!("net.ipv6.conf.{device}.accept_dad=0"),
            ])?;
            on(&["ip", "addr", "add", v4, "dev", device])?;
            on(&["ip", "link", "set", device, "up"])?;
            on(&["ip", "link", "set", "lo", "up"])?;
            on(&["ip", "addr", "add", v6, "dev", device])?;
        }
        Ok(far)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says next of what it counted.
    pub(crate) fn counted(&mut self) -> Result<Counted> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("the server said {line}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

/// The server's own life.
pub(crate) fn serve() -> Result<()> {
    fs::write("/proc/self/comm", NAME)?;
    fs::write(format!("{CGROUP}/cgroup.procs"), "0")?;
    let listener = TcpListener::bind(("::", PORT))?;
    writeln!(stdout(), "ready")?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = answer(stream) {
                eprintln!("far: {error:#}");
            }
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut counted = count(&stream, true)?;
    loop {
        let mut request = [0; 16];
        match stream.read_exact(&mut request) {
            Ok(()) => {}
            Err(error) if ended(&error) => break,
            Err(error) => return Err(error.into()),
        }
        let [up, down] =
            [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| request[at + byte])));
        io::copy(&mut (&stream).take(up), &mut io::sink())?;
        write_zeros(&mut stream, down)?;
        counted.received += 16 + up;
        counted.sent += down;
        say(&counted)?;
    }
    // The socket is gone before the last word is said.
    drop(stream);
    say(&counted)
}

fn ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
    )
}

fn say(counted: &Counted) -> Result<()> {
    // One write, so that the lines of two connections do not mix.
    let line = format!("{}\n", serde_json::to_string(counted)?);
    Ok(stdout().write_all(line.as_bytes())?)
}

/// A connection to the server.
pub(crate) struct Client {
    stream: TcpStream,
    /// What it counted.
    pub(crate) counted: Counted,
}

impl Client {
    /// To the server's port at one of its addresses.
    pub(crate) fn connect(address: &str) -> Result<Client> {
        Client::connect_to(remote(address)?)
    }

    /// To another address and port that lead to the server.
    pub(crate) fn connect_to(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect(address)?;
        Ok(Client {
            counted: count(&stream, false)?,
            stream,
        })
    }

    /// Sends `up` bytes, receives `down`; gives both ends' counts so far.
    pub(crate) fn exchange(&mut self, up: u64, down: u64, far: &mut Far) -> Result<[Counted; 2]> {
        self.request(up, down)?;
        let got = io::copy(&mut (&self.stream).take(down), &mut io::sink())?;
        self.counted.received += got;
        Ok([self.counted.clone(), far.counted()?])
    }

    /// Ends it in order; gives the server's last count.
    pub(crate) fn finish(self, far: &mut Far) -> Result<[Counted; 2]> {
        self.stream.shutdown(Shutdown::Both)?;
        drop(self.stream);
        Ok([self.counted, far.counted()?])
    }

    /// Closes it with an answer unread, which the kernel turns into a reset.
    pub(crate) fn abandon(mut self, down: u64, far: &mut Far) -> Result<[Counted; 2]> {
        self.request(0, down)?;
        let served = far.counted()?;
        // All of the answer is here, though nobody has read it.
        let mut room = vec![0; usize::try_from(down)?];
        while self.stream.peek(&mut room)? < room.len() {}
        self.counted.received += down;
        drop(self.stream);
        let last = far.counted()?;
        anyhow::ensure!(
            last == served,
            "the server counted on: {last:?} after {served:?}"
        );
        Ok([self.counted, last])
    }

    fn request(&mut self, up: u64, down: u64) -> Result<()> {
        self.stream
            .write_all(&[up.to_le_bytes(), down.to_le_bytes()].concat())?;
        write_zeros(&mut self.stream, up)?;
        self.counted.sent += 16 + up;
        Ok(())
    }
}

/// The server's address in full.
pub(crate) fn remote(address: &str) -> Result<SocketAddr> {
    Ok(SocketAddr::new(address.parse()?, PORT))
}

fn write_zeros(to: &mut TcpStream, bytes: u64) -> io::Result<u64> {
    io::copy(&mut io::repeat(0).take(bytes), to)
}

fn count(stream: &TcpStream, accepted: bool) -> Result<Counted> {
    // The server's socket is of both families: an IPv4 client's address comes mapped.
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port()).to_string();
    Ok(Counted {
        local: plain(stream.local_addr()?),
        peer: plain(stream.peer_addr()?),
        sent: 0,
        received: 0,
        pid: std::process::id(),
        accepted,
    })
}
