//! What repeats within a batch, encoded once: the attributes that follow from one end of a span.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use tapetum_model::{Connection, End, Role};

use super::wire::Attributes;
use crate::{Form, span};

/// When the bytes of a batch's ends exceed this they are forgotten: the scratch is bounded.
const BYTES_MAX: usize = 1 << 20;
/// In a key's `kind`: not an end but an address alone.
const ANSWERED: u64 = 1 << 4;
const FREE: u32 = u32::MAX;
/// Of a span's name.
const NAME: u8 = 0x2a;
const PREFIX: &[u8] = b"tcp ";
/// The body of a log record has the same tag; in it stands a text.
const TEXT: u8 = 0x0a;

/// One end's attributes, and the span's name if this end is the server and has one.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    bytes: Range<usize>,
    /// Where the address of who answered begins, which some rows have otherwise.
    peer: usize,
    /// Whether the span's name is in it.
    pub(super) named: bool,
}

/// The ends of a batch, found by what decides their attributes.
#[derive(Debug, Default)]
pub(super) struct Ends {
    slots: Vec<u32>,
    known: Vec<(Key, Ready)>,
    bytes: Vec<u8>,
    form: Form,
}

/// All that decides an end's attributes. The pointers are compared only while their batch lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    entity: usize,
    service: usize,
    address: u128,
    /// Near or far, role, translated, family.
    kind: u64,
}

impl Ends {
    /// For spans, or for log records.
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            ..Self::default()
        }
    }

    /// Forgets all: the next batch has other ends.
    pub(super) fn clear(&mut self) {
        self.slots.fill(FREE);
        self.known.clear();
        self.bytes.clear();
    }

    /// What follows from the row's near end.
    pub(super) fn near(&mut self, row: &Connection) -> Ready {
        let key = Key::of(&row.local, row.role, 0);
        let form = self.form;
        self.find(key, |bytes| {
            let named = row.role == Role::Server && name(form, &row.local, bytes);
            span::near(row, &mut attributes(form, bytes));
            (named, bytes.len())
        })
    }

    /// What follows from the row's far end.
    pub(super) fn far(&mut self, row: &Connection) -> Ready {
        let key = Key::of(&row.remote, row.role, 1);
        let form = self.form;
        self.find(key, |bytes| {
            let named = row.role == Role::Client && name(form, &row.remote, bytes);
            span::far(row, &mut attributes(form, bytes));
            let peer = bytes.len();
            span::peer(row.remote.address.ip(), &mut attributes(form, bytes));
            (named, peer)
        })
    }

    /// The attribute of an address that answered in another's place.
    pub(super) fn peer(&mut self, address: IpAddr) -> Ready {
        let mut key = Key::of(&End::of((address, 0).into()), Role::Client, 0);
        key.kind |= ANSWERED;
        let form = self.form;
        self.find(key, |bytes| {
            span::peer(address, &mut attributes(form, bytes));
            (false, bytes.len())
        })
    }

    /// The bytes of an end.
    pub(super) fn whole(&self, ready: &Ready) -> &[u8] {
        &self.bytes[ready.bytes.clone()]
    }

    /// The bytes of an end but for the address of who answered.
    pub(super) fn without_peer(&self, ready: &Ready) -> &[u8] {
        &self.bytes[ready.bytes.start..ready.peer]
    }

    fn find(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>) -> (bool, usize)) -> Ready {
        if !self.slots.is_empty() {
            let mut slot = self.slot(&key);
            while let Some((known, ready)) = self.known.get(self.slots[slot] as usize) {
                if *known == key {
                    return ready.clone();
                }
                slot = (slot + 1) & (self.slots.len() - 1);
            }
        }
        self.learn(key, write)
    }

    #[cold]
    fn learn(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>) -> (bool, usize)) -> Ready {
        let start = self.bytes.len();
        let (named, peer) = write(&mut self.bytes);
        let ready = Ready {
            bytes: start..self.bytes.len(),
            peer,
            named,
        };
        self.known.push((key, ready.clone()));
        if self.known.len() * 2 > self.slots.len() {
            let slots = (self.slots.len() * 2).max(256);
            self.slots.clear();
            self.slots.resize(slots, FREE);
            for at in 0..self.known.len() {
                self.place(at);
            }
        } else {
            self.place(self.known.len() - 1);
        }
        ready
    }

    /// Whether so much is held that the ends should be forgotten before the next row.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() > BYTES_MAX
    }

    fn place(&mut self, at: usize) {
        let mut slot = self.slot(&self.known[at].0);
        while self.slots[slot] != FREE {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = at as u32;
    }

    fn slot(&self, key: &Key) -> usize {
        let mixed = mix(key.entity as u64 ^ key.kind, key.service as u64)
            ^ mix(key.address as u64, (key.address >> 64) as u64);
        (mix(mixed, 0) >> 32) as usize & (self.slots.len() - 1)
    }
}

impl Key {
    fn of(end: &End, role: Role, side: u64) -> Self {
        let (address, family) = match end.address.ip() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 0),
            IpAddr::V6(v6) => (v6.to_bits(), 1),
        };
        let server = u64::from(role == Role::Server);
        Self {
            entity: end
                .entity
                .as_ref()
                .map_or(0, |entity| Arc::as_ptr(entity) as usize),
            service: end
                .service
                .as_ref()
                .map_or(0, |service| Arc::as_ptr(service) as usize),
            address,
            kind: side | server << 1 | u64::from(end.translated) << 2 | family << 3,
        }
    }
}

/// Folds two words into one whose high half depends on every bit.
#[inline]
fn mix(left: u64, right: u64) -> u64 {
    let product =
        u128::from(left ^ 0x9e37_79b9_7f4a_7c15) * u128::from(right ^ 0xd1b5_4a32_d192_ed03);
    product as u64 ^ (product >> 64) as u64
}

fn attributes(form: Form, out: &mut Vec<u8>) -> Attributes<'_> {
    Attributes {
        out,
        tag: form.attribute(),
    }
}

/// Writes the span's name, or the record's body, if the server has a name.
fn name(form: Form, server: &End, out: &mut Vec<u8>) -> bool {
    let Some(name) = span::server_name(server) else {
        return false;
    };
    // The name is cut so that each length is one byte.
    let length = (PREFIX.len() + name.len()) as u8;
    match form {
        Form::Span => out.extend_from_slice(&[NAME, length]),
        Form::Log => out.extend_from_slice(&[NAME, length + 2, TEXT, length]),
    }
    out.extend_from_slice(PREFIX);
    out.extend_from_slice(name.as_bytes());
    true
}
