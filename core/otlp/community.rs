//! Community ID, version 1: one id that packet tools compute of a flow too.
//!
//! `1:` and the Base64 of a SHA-1 over seed, addresses, protocol and ports, the lesser end first. It
//! joins spans with the logs of Zeek or Suricata; nothing rests on its strength, so the old hash does.

use std::net::{IpAddr, SocketAddr};

const TCP: u8 = 6;
const SEED: u16 = 0;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// `1:` and 28 digits.
const LENGTH: usize = 30;

/// The id as text, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommunityId([u8; LENGTH]);

impl CommunityId {
    /// The id of a TCP connection between two ends, whichever is named first.
    pub(crate) fn of(one: SocketAddr, other: SocketAddr) -> Self {
        let (low, high) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        let mut block = Block::default();
        block.put(&SEED.to_be_bytes());
        for end in [low, high] {
            match end.ip() {
                IpAddr::V4(v4) => block.put(&v4.octets()),
                IpAddr::V6(v6) => block.put(&v6.octets()),
            }
        }
        block.put(&[TCP, 0]);
        block.put(&low.port().to_be_bytes());
        block.put(&high.port().to_be_bytes());
        let hash = block.sha1();
        let mut text = [b'='; LENGTH];
        text[..2].copy_from_slice(b"1:");
        for (three, four) in hash.chunks(3).zip(text[2..].chunks_mut(4)) {
            let bits = three.iter().enumerate().fold(0, |bits, (at, byte)| {
                bits | u32::from(*byte) << (16 - 8 * at)
            });
            for (at, digit) in four.iter_mut().take(three.len() + 1).enumerate() {
                *digit = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
            }
        }
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A message that fits into one block of SHA-1, as a flow always does.
struct Block {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            bytes: [0; 64],
            length: 0,
        }
    }
}

impl Block {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// FIPS 180-4, for one block.
    fn sha1(mut self) -> [u8; 20] {
        self.bytes[self.length] = 0x80;
        self.bytes[56..].copy_from_slice(&(8 * self.length as u64).to_be_bytes());
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(self.bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for at in 16..80 {
            let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words[at] = mixed.rotate_left(1);
        }
        let begin: [u32; 5] = [
            0x6745_2301,
            0xefcd_ab89,
            0x98ba_dcfe,
            0x1032_5476,
            0xc3d2_e1f0,
        ];
        let [mut a, mut b, mut c, mut d, mut e] = begin;
        for (at, word) in words.into_iter().enumerate() {
            let (f, k) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        let mut hash = [0; 20];
        let sums = begin.into_iter().zip([a, b, c, d, e]);
        for (bytes, (begin, end)) in hash.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
            *bytes = begin.wrapping_add(end).to_be_bytes();
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha1() {
        let mut block = Block::default();
        block.put(b"abc");
        let hex: String = block
            .sha1()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn ids_are_those_of_the_specification() {
        let id = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            let there = CommunityId::of(one, other);
            assert_eq!(there.as_str(), CommunityId::of(other, one).as_str());
            there.as_str().to_owned()
        };
        assert_eq!(
            id("128.232.110.120:34855", "66.35.250.204:80"),
            "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
        );
        let v6 = id("[2001:db8::1]:1", "[2001:db8::2]:2");
        assert_eq!(v6.len(), LENGTH);
    }
}
