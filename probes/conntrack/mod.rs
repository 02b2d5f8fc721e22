//! Who really answers a connection: the kernel's connection tracking of the namespace that this process
//! is in, asked by netlink for one connection at a time. The kernel answers before the question's system
//! call returns, so nothing waits.
//!
//! It needs CAP_NET_ADMIN; a process without it cannot ask, and [`Conntrack::open`] says so.

mod message;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use self::message::Answer;

/// A place to ask at.
#[derive(Debug)]
pub struct Conntrack {
    socket: OwnedFd,
    sequence: u32,
    request: Vec<u8>,
    reply: Box<[u8]>,
}

/// The kernel's answers for one connection are a few hundred bytes.
const REPLY_BYTES: usize = 8_192;

impl Conntrack {
    /// Opens a socket and asks once, to find out whether this process may.
    pub fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(NETFILTER),
        )?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        let mut conntrack = Self {
            socket,
            sequence: 0,
            request: Vec::new(),
            reply: vec![0; REPLY_BYTES].into(),
        };
        let nobody = SocketAddr::from(([192, 0, 2, 1], 1));
        conntrack.answerer(nobody, nobody)?;
        Ok(conntrack)
    }

    /// Who answers what `from` sends to `to`; [`None`] if no such connection is tracked here.
    pub fn answerer(&mut self, from: SocketAddr, to: SocketAddr) -> io::Result<Option<SocketAddr>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.request.clear();
        message::ask(&mut self.request, self.sequence, from, to);
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&self.socket, &self.request, SendFlags::empty(), &kernel)?;
        // Answers to questions that were given up may be before ours: there can be few of them.
        for _ in 0..8 {
            let received = rustix::net::recv(&self.socket, &mut self.reply[..], RecvFlags::empty());
            let (length, _) = match received {
                Ok(received) => received,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(why) => return Err(why.into()),
            };
            match message::answer(&self.reply[..length.min(REPLY_BYTES)], self.sequence) {
                Answer::Answers(who) => return Ok(other_than(from, who)),
                Answer::Untracked => return Ok(None),
                Answer::Refused(error) => return Err(io::Error::from_raw_os_error(error)),
                Answer::Foreign => {}
            }
        }
        Ok(None)
    }
}

/// Who answers, if it is not who asks: an entry that began with a packet of the server (the connection is
/// older than the tracking) has its sides the other way round, and nobody translated it.
fn other_than(asker: SocketAddr, who: SocketAddr) -> Option<SocketAddr> {
    (who != asker).then_some(who)
}

/// Who answers, as a message of the kernel's says it: [`None`] if it is no answer to question `sequence`.
/// What [`Conntrack::answerer`] does with what it receives.
pub fn answerer_in(message: &[u8], sequence: u32) -> Option<SocketAddr> {
    match message::answer(message, sequence) {
        Answer::Answers(who) => Some(who),
        Answer::Untracked | Answer::Refused(_) | Answer::Foreign => None,
    }
}
