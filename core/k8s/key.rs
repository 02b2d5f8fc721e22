//! What things are found by: numbers, so that a look-up compares no text.

use std::net::{IpAddr, SocketAddr};

use crate::Transport;

/// A pod's UID or the first half of a container's id, of its hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id([u64; 2]);

/// An address; IPv4 as mapped IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ip([u64; 2]);

/// An address and a port of one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Door {
    ip: Ip,
    port: u16,
    transport: Transport,
}

/// How many digits of an id are looked at: 128 bits that nobody can choose decide.
const DIGITS: usize = 32;

impl Id {
    /// Of an id's first 32 hexadecimal digits; dashes and underscores between them are passed over.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut value = 0u128;
        let mut digits = 0;
        for byte in text.bytes() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                b'-' | b'_' => continue,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
            digits += 1;
            if digits == DIGITS {
                return Some(Self(halves(value)));
            }
        }
        None
    }
}

impl Ip {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(halves(match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        }))
    }
}

impl Door {
    pub(crate) fn new(ip: Ip, port: u16, transport: Transport) -> Self {
        Self {
            ip,
            port,
            transport,
        }
    }

    pub(crate) fn of(address: SocketAddr, transport: Transport) -> Self {
        Self::new(Ip::of(address.ip()), address.port(), transport)
    }
}

fn halves(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_digits_however_they_are_written() {
        let dashed = Id::parse("11111111-2222-3333-4444-555555555555");
        assert!(dashed.is_some());
        assert_eq!(dashed, Id::parse("11111111_2222_3333_4444_555555555555"));
        assert_eq!(dashed, Id::parse("11111111222233334444555555555555"));
        assert_ne!(dashed, Id::parse("11111111-2222-3333-4444-555555555556"));
        assert_eq!(Id::parse("11111111-2222"), None);
        assert_eq!(Id::parse("no id at all, but long enough for one"), None);
    }

    #[test]
    fn a_mapped_address_is_the_same() {
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(Ip::of("10.0.0.1".parse().unwrap()), Ip::of(mapped));
    }
}
