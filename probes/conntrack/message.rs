//! The netlink messages of connection tracking, in bytes: one question, and a reader that trusts nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This is who answers.
    Answers(SocketAddr),
    /// There is no such connection.
    Untracked,
    /// The kernel refuses, with this errno.
    Refused(i32),
    /// Not an answer to this question, or not one that can be read.
    Foreign,
}

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// Subsystem 1 is connection tracking; its messages are "new" (also the answer to "get") and "get".
const CT_NEW: u16 = 1 << 8;
const CT_GET: u16 = 1 << 8 | 1;

const NESTED: u16 = 1 << 15;
/// The rest are flags.
const TYPE_MASK: u16 = 0x3fff;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V4_DST: u16 = 2;
const IP_V6_SRC: u16 = 3;
const IP_V6_DST: u16 = 4;
const PROTO_NUM: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;

const IPPROTO_TCP: u8 = 6;
const ENOENT: i32 = 2;
/// Length, type, flags, sequence, port.
const HEAD_BYTES: usize = 16;
/// Family, version, resource.
const GENERIC_BYTES: usize = 4;

/// Appends the question who answers what `from` sends to `to`.
pub(super) fn ask(into: &mut Vec<u8>, sequence: u32, from: SocketAddr, to: SocketAddr) {
    let family = if from.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    into.extend([0; 4]);
    into.extend(CT_GET.to_ne_bytes());
    into.extend(NLM_F_REQUEST.to_ne_bytes());
    into.extend(sequence.to_ne_bytes());
    into.extend([0; 4]);
    into.extend([u8::try_from(family).unwrap_or(0), 0, 0, 0]);
    nest(into, TUPLE_ORIG, |into| {
        nest(into, TUPLE_IP, |into| {
            address(into, [IP_V4_SRC, IP_V6_SRC], from.ip());
            address(into, [IP_V4_DST, IP_V6_DST], to.ip());
        });
        nest(into, TUPLE_PROTO, |into| {
            attribute(into, PROTO_NUM, &[IPPROTO_TCP]);
            attribute(into, PROTO_SRC_PORT, &from.port().to_be_bytes());
            attribute(into, PROTO_DST_PORT, &to.port().to_be_bytes());
        });
    });
    let length = u32::try_from(into.len()).unwrap_or(u32::MAX);
    into[..4].copy_from_slice(&length.to_ne_bytes());
}

/// Reads one datagram as the answer to question `sequence`.
pub(super) fn answer(bytes: &[u8], sequence: u32) -> Answer {
    read(bytes, sequence).unwrap_or(Answer::Foreign)
}

fn read(bytes: &[u8], sequence: u32) -> Option<Answer> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
    let message = bytes.get(..length)?;
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    if u32::from_ne_bytes(*message.get(8..)?.first_chunk()?) != sequence {
        return None;
    }
    let payload = message.get(HEAD_BYTES..)?;
    if kind == NLMSG_ERROR {
        let error = i32::from_ne_bytes(*payload.first_chunk()?).checked_neg()?;
        return Some(if error == ENOENT {
            Answer::Untracked
        } else {
            Answer::Refused(error)
        });
    }
    if kind != CT_NEW {
        return None;
    }
    let reply = find(payload.get(GENERIC_BYTES..)?, TUPLE_REPLY)?;
    let addresses = find(reply, TUPLE_IP)?;
    let ip = match find(addresses, IP_V4_SRC) {
        Some(v4) => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(v4).ok()?)),
        None => IpAddr::from(Ipv6Addr::from(
            <[u8; 16]>::try_from(find(addresses, IP_V6_SRC)?).ok()?,
        )),
    };
    let port = find(find(reply, TUPLE_PROTO)?, PROTO_SRC_PORT)?;
    let port = u16::from_be_bytes(<[u8; 2]>::try_from(port).ok()?);
    Some(Answer::Answers(SocketAddr::new(ip, port)))
}

/// The payload of the first attribute of a type.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?) & TYPE_MASK;
        let payload = attributes.get(4..length)?;
        if kind == wanted {
            return Some(payload);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn address(into: &mut Vec<u8>, [v4, v6]: [u16; 2], ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => attribute(into, v4, &ip.octets()),
        IpAddr::V6(ip) => attribute(into, v6, &ip.octets()),
    }
}

fn nest(into: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let begin = into.len();
    into.extend([0; 2]);
    into.extend((kind | NESTED).to_ne_bytes());
    fill(into);
    let length = u16::try_from(into.len() - begin).unwrap_or(u16::MAX);
    into[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
}

fn attribute(into: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    into.extend(length.to_ne_bytes());
    into.extend(kind.to_ne_bytes());
    into.extend(payload);
    into.resize(into.len().next_multiple_of(4), 0);
}
