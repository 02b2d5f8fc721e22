//! A probe that looks at one network namespace: this test's own.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tapetum_probes::tcp::{Event, Options, Probe, Row, flags};
use tapetum_testkit::skip_this;

/// What kind of event a row came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Opened,
    Closed,
    Adopted,
    Swept,
    /// Alive, with the row that came before.
    Unchanged,
    Listening,
    ListenerClosed,
}

/// The rows of one namespace so far, in order.
pub(crate) struct Watch {
    pub(crate) probe: Probe,
    pub(crate) rows: Vec<(What, Row)>,
    /// Rows of other namespaces: somebody else is busy on this kernel.
    pub(crate) foreign: usize,
    netns_inum: u32,
    _alone: MutexGuard<'static, ()>,
}

/// Several probes at once would see, adopt and time each other's sockets: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Puts this thread (and the threads that it starts) into a fresh network namespace with a working
/// loopback. [`None`], said with its reason, where that is not allowed.
pub(crate) fn fresh_namespace() -> Option<u32> {
    // SAFETY: no arguments but a flag; only this thread's view of the network changes.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        let why = std::io::Error::last_os_error();
        skip_this(
            "probes",
            &format!("needs a network namespace of its own: {why}"),
        );
        return None;
    }
    run("ip link set lo up");
    let inum = fs::metadata("/proc/thread-self/ns/net")
        .expect("a namespace")
        .ino();
    Some(u32::try_from(inum).expect("an inode of nsfs"))
}

/// Runs a command of words in this thread's namespace.
pub(crate) fn run(command: &str) {
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().expect("a word"))
        .args(words)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{command}");
}

impl Watch {
    /// A namespace and a probe with these options, started; [`None`] without the privileges.
    pub(crate) fn start(options: &Options) -> Option<Watch> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let netns_inum = fresh_namespace()?;
        Watch::here(options, netns_inum, alone)
    }

    /// As [`Watch::start`], with `before` run in the namespace before there is a probe.
    pub(crate) fn start_after<T>(
        options: &Options,
        before: impl FnOnce() -> T,
    ) -> Option<(Watch, T)> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let netns_inum = fresh_namespace()?;
        let made = before();
        Some((Watch::here(options, netns_inum, alone)?, made))
    }

    fn here(options: &Options, netns_inum: u32, alone: MutexGuard<'static, ()>) -> Option<Watch> {
        let probe = match Probe::start(options) {
            Ok(probe) => probe,
            Err(error) if !privileged() => {
                skip_this("probes", &format!("needs privileges: {error}"));
                return None;
            }
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        };
        Some(Watch {
            probe,
            rows: Vec::new(),
            foreign: 0,
            netns_inum,
            _alone: alone,
        })
    }

    /// Takes in what the ring holds.
    pub(crate) fn drain(&mut self) {
        let Watch {
            probe,
            rows,
            foreign,
            netns_inum,
            ..
        } = self;
        let drained = probe.drain(&mut |event| {
            let (what, row) = match event {
                Event::Opened(row) => (What::Opened, row),
                Event::Closed(row) => (What::Closed, row),
                Event::Adopted(row) => (What::Adopted, row),
                Event::Swept(row) => (What::Swept, row),
                Event::Unchanged { id, .. } => {
                    if let Some((_, row)) = rows.iter().rev().find(|(_, row)| row.id == id) {
                        let mut row = *row;
                        row.flags |= flags::ANNOUNCED;
                        rows.push((What::Unchanged, row));
                    }
                    return;
                }
                Event::Listening(row) => (What::Listening, row),
                Event::ListenerClosed(row) => (What::ListenerClosed, row),
                _ => return,
            };
            if row.netns_inum == *netns_inum {
                rows.push((what, *row));
            } else {
                *foreign += 1;
            }
        });
        assert_eq!(drained.malformed, 0);
    }

    /// The rows of one kind so far.
    pub(crate) fn of(&self, what: What) -> Vec<Row> {
        self.rows
            .iter()
            .filter(|(kind, _)| *kind == what)
            .map(|(_, row)| *row)
            .collect()
    }

    /// Waits until `count` rows of a kind have come.
    pub(crate) fn until(&mut self, what: What, count: usize) -> Vec<Row> {
        let patience = Instant::now();
        loop {
            self.drain();
            let rows = self.of(what);
            if rows.len() >= count || patience.elapsed() > Duration::from_secs(10) {
                assert_eq!(rows.len(), count, "{what:?} of {:#?}", self.rows);
                return rows;
            }
            self.probe.wait(Duration::from_millis(200)).expect("waits");
        }
    }

    /// A whole sweep, drained: the connections of this namespace that it found, as they now are.
    pub(crate) fn sweep(&mut self) -> Vec<Row> {
        self.drain();
        let before = self.rows.len();
        let sweep = self.probe.sweep().expect("sweeps");
        assert!(sweep.whole());
        self.drain();
        let new = self.rows[before..].iter();
        let alive = |what| matches!(what, What::Swept | What::Unchanged);
        new.filter(|(what, _)| alive(*what))
            .map(|(_, row)| *row)
            .collect()
    }
}

pub(crate) fn privileged() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// A connected pair over loopback: the end that connected, and the one that accepted.
pub(crate) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    pair_to(listener, listener.local_addr().expect("bound"))
}

pub(crate) fn pair_to(listener: &TcpListener, address: SocketAddr) -> (TcpStream, TcpStream) {
    let connecting = thread::spawn(move || TcpStream::connect(address).expect("connects"));
    let (accepted, _) = listener.accept().expect("accepts");
    (connecting.join().expect("connected"), accepted)
}

/// Sends `bytes` of payload one way while the other end counts them.
pub(crate) fn carry(from: &TcpStream, to: &TcpStream, bytes: usize) {
    let mut from = from.try_clone().expect("a clone");
    let sending = thread::spawn(move || from.write_all(&vec![7; bytes]).expect("sends"));
    let mut arrived = vec![0; bytes];
    (&*to).read_exact(&mut arrived).expect("arrives");
    sending.join().expect("sent");
}

/// Ends a connection in order, the client first, and waits until both ends saw it.
pub(crate) fn finish(client: TcpStream, mut server: TcpStream) {
    client.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!(server.read(&mut [0; 8]).expect("an end"), 0);
    server.shutdown(Shutdown::Write).expect("half closed");
    assert_eq!((&client).read(&mut [0; 8]).expect("an end"), 0);
}
