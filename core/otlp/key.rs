//! The names of a span's attributes, each with its bytes up to the value made at compile time.

use crate::names::span as n;

/// An attribute of a span: its name in two parts, and the same encoded.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) suffix: &'static str,
    /// `KeyValue` under a span's tag up to the first byte of its value; both lengths are zero yet.
    pub(crate) head: [u8; Key::ROOM],
    /// How much of `head` counts.
    pub(crate) len: usize,
}

/// A counted measure: of the span's period, and over the lifetime.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) period: Key,
    pub(crate) total: Key,
}

impl Key {
    /// A whole number of vector registers, so that a copy of it is a few moves.
    pub(crate) const ROOM: usize = 48;
    /// What `head` holds beside the name.
    const FRAME: usize = 6;

    const fn new(name: &'static str) -> Self {
        Self::joined(name, "")
    }

    const fn joined(name: &'static str, suffix: &'static str) -> Self {
        let mut head = [0; Self::ROOM];
        let length = name.len() + suffix.len();
        (head[0], head[2], head[3]) = (0x4a, 0x0a, length as u8);
        let mut at = 0;
        while at < length {
            head[4 + at] = if at < name.len() {
                name.as_bytes()[at]
            } else {
                suffix.as_bytes()[at - name.len()]
            };
            at += 1;
        }
        head[4 + length] = 0x12;
        Self {
            name,
            suffix,
            head,
            len: length + Self::FRAME,
        }
    }
}

impl Measure {
    const fn new(name: &'static str) -> Self {
        Self {
            period: Key::new(name),
            total: Key::joined(name, n::TOTAL),
        }
    }
}

pub(crate) const NETWORK_TRANSPORT: &Key = &Key::new(n::NETWORK_TRANSPORT);
pub(crate) const NETWORK_TYPE: &Key = &Key::new(n::NETWORK_TYPE);
pub(crate) const CLIENT_ADDRESS: &Key = &Key::new(n::CLIENT_ADDRESS);
pub(crate) const CLIENT_PORT: &Key = &Key::new(n::CLIENT_PORT);
pub(crate) const SERVER_ADDRESS: &Key = &Key::new(n::SERVER_ADDRESS);
pub(crate) const SERVER_PORT: &Key = &Key::new(n::SERVER_PORT);
pub(crate) const PEER_ADDRESS: &Key = &Key::new(n::PEER_ADDRESS);
pub(crate) const PEER_PORT: &Key = &Key::new(n::PEER_PORT);
pub(crate) const LOCAL_ADDRESS: &Key = &Key::new(n::LOCAL_ADDRESS);
pub(crate) const LOCAL_PORT: &Key = &Key::new(n::LOCAL_PORT);
pub(crate) const PROCESS_PID: &Key = &Key::new(n::PROCESS_PID);
pub(crate) const PROCESS_EXECUTABLE: &Key = &Key::new(n::PROCESS_EXECUTABLE);
pub(crate) const SERVICE_PEER_NAME: &Key = &Key::new(n::SERVICE_PEER_NAME);
pub(crate) const PEER_SERVICE: &Key = &Key::new(n::PEER_SERVICE);
pub(crate) const BYTES_SENT: &Measure = &Measure::new(n::BYTES_SENT);
pub(crate) const BYTES_RECEIVED: &Measure = &Measure::new(n::BYTES_RECEIVED);
pub(crate) const PACKETS_SENT: &Measure = &Measure::new(n::PACKETS_SENT);
pub(crate) const PACKETS_RECEIVED: &Measure = &Measure::new(n::PACKETS_RECEIVED);
pub(crate) const RETRANSMITS: &Measure = &Measure::new(n::RETRANSMITS);
pub(crate) const BYTES_RETRANSMITTED: &Measure = &Measure::new(n::BYTES_RETRANSMITTED);
pub(crate) const RWND_LIMITED: &Measure = &Measure::new(n::RWND_LIMITED);
pub(crate) const SNDBUF_LIMITED: &Measure = &Measure::new(n::SNDBUF_LIMITED);
pub(crate) const RTT_SMOOTHED: &Key = &Key::new(n::RTT_SMOOTHED);
pub(crate) const RTT_MIN: &Key = &Key::new(n::RTT_MIN);
pub(crate) const RTT_VARIANCE: &Key = &Key::new(n::RTT_VARIANCE);
pub(crate) const HANDSHAKE: &Key = &Key::new(n::HANDSHAKE);
pub(crate) const REORDERING: &Key = &Key::new(n::REORDERING);
pub(crate) const COMMUNITY_ID: &Key = &Key::new(n::COMMUNITY_ID);
pub(crate) const END_REASON: &Key = &Key::new(n::END_REASON);
pub(crate) const ERROR_TYPE: &Key = &Key::new(n::ERROR_TYPE);
