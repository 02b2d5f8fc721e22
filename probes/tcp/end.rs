//! Why a connection ended, decided from the facts of its last row. The kernel has no such field:
//! where a socket closes because of this end, the reset leaves only after the close is reported, so
//! an abort is told from the state it died from, with no error and no reset received.

use super::record::{Row, flags};

/// What ended a connection, or an attempt at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both directions were finished, or the peer took too long to finish its own after ours.
    Fin,
    /// This end gave up the connection with a reset.
    RstSent,
    /// The peer reset it, or refused the connect.
    RstReceived,
    /// Nobody answered for too long.
    Timeout,
    /// The connect was abandoned by the process.
    Cancelled,
    /// None of these: for instance an ICMP error.
    Unknown,
}

/// What went wrong, where something did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// `ECONNREFUSED`
    Refused,
    /// `ETIMEDOUT`
    Timeout,
    /// A reset by either end of an established connection.
    Reset,
    /// `EHOSTUNREACH`
    HostUnreachable,
    /// `ENETUNREACH`
    NetUnreachable,
    /// Another error.
    Other,
}

const SYN_RECV: u8 = 3;
const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

impl Row {
    /// Why it ended. Meaningful for closed rows.
    pub fn end(&self) -> End {
        if self.has(flags::RST_RECEIVED) {
            return End::RstReceived;
        }
        match i32::from(self.error) {
            // Found closed by a sweep: nobody saw what it died from.
            _ if self.state == CLOSE => End::Unknown,
            libc::ETIMEDOUT => End::Timeout,
            // The last ICMP error stands in for the time-out that really ended it.
            libc::EHOSTUNREACH | libc::ENETUNREACH if self.established() => End::Timeout,
            libc::ECONNABORTED => End::RstSent,
            // Data reached it after its process was gone.
            libc::ECONNRESET if self.has(flags::RST_SENT) => End::RstSent,
            0 if !self.established() && self.state != SYN_RECV => End::Cancelled,
            0 if self.has(flags::RST_SENT) => End::RstSent,
            0 if matches!(self.state, FIN_WAIT2 | TIME_WAIT | LAST_ACK | CLOSING) => End::Fin,
            0 => End::RstSent,
            _ => End::Unknown,
        }
    }

    /// What went wrong; [`None`] where nothing did, or where the process abandoned its connect.
    pub fn failure(&self) -> Option<Failure> {
        match (self.end(), i32::from(self.error)) {
            (End::RstReceived, _) if !self.established() => Some(Failure::Refused),
            (End::RstReceived | End::RstSent, _) => Some(Failure::Reset),
            (_, 0) => None,
            (_, libc::ECONNREFUSED) => Some(Failure::Refused),
            (_, libc::ETIMEDOUT) => Some(Failure::Timeout),
            (_, libc::EHOSTUNREACH) => Some(Failure::HostUnreachable),
            (_, libc::ENETUNREACH) => Some(Failure::NetUnreachable),
            _ => Some(Failure::Other),
        }
    }

    /// Whether a single packet of the connect ever left: `connect()` can fail for want of a free
    /// port, which is no connection at all.
    pub fn attempted(&self) -> bool {
        self.established() || self.packets_sent > 0
    }
}
