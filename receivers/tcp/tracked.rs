//! What is remembered of a connection between two of its rows, and where it is kept: 280 bytes each,
//! in chunks that never move, found by socket cookie and by its pair of initial sequence numbers.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use tapetum_model::{Counters, Entity, Process, Role};

use super::ids::Isns;

/// A connection that is alive, as far as is known.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) cookie: u64,
    /// Monotonic times: of its birth or adoption, of its period's begin, of its last row.
    pub(super) born_ns: u64,
    pub(super) started_ns: u64,
    pub(super) seen_ns: u64,
    /// Counters at the row before, and at the span before.
    pub(super) last: Counters,
    pub(super) base: Counters,
    pub(super) local: Address,
    pub(super) remote: Address,
    /// Boxed because only what was translated has one.
    pub(super) answered_by: Option<Box<SocketAddr>>,
    pub(super) entity: Arc<Entity>,
    pub(super) far: Option<Arc<Entity>>,
    pub(super) process: Option<Arc<Process>>,
    pub(super) isns: Isns,
    pub(super) handshake_us: u32,
    /// Smoothed, least, variance: of the row before.
    pub(super) rtt_us: [u32; 3],
    /// Spans that were sent.
    pub(super) spans: u32,
    /// The last sweep that saw it.
    pub(super) sweep: u32,
    /// Its number among the first rows that wait, while it is there.
    pub(super) waits: u32,
    pub(super) role: Role,
    pub(super) marks: u8,
}

/// What a [`Tracked`] is, as bits of `marks`.
pub(super) mod marks {
    /// Older than the agent.
    pub(in crate::tcp) const ADOPTED: u8 = 1;
    /// Its first row waits for the other end's.
    pub(in crate::tcp) const WAITING: u8 = 1 << 1;
    /// The other end is on this kernel too, and is known.
    pub(in crate::tcp) const JOINED: u8 = 1 << 2;
    /// Left out on purpose: remembered so that its close is not taken for a late birth.
    pub(in crate::tcp) const EXCLUDED: u8 = 1 << 3;
    /// It may be the kubelet's.
    pub(in crate::tcp) const KUBELET: u8 = 1 << 4;
    /// The two initial sequence numbers are real ones.
    pub(in crate::tcp) const ISNS: u8 = 1 << 5;
    /// Its counters did not tell which end it is, and no listener did so far.
    pub(in crate::tcp) const UNDECIDED: u8 = 1 << 6;
}

const _: () = assert!(size_of::<Option<Tracked>>() <= 280);

/// An address and a port in 18 bytes, where `SocketAddr` takes 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    ip: [u8; 16],
    port: [u8; 2],
}

/// Where a [`Tracked`] is kept; stays valid until it is removed.
pub(super) type Slot = u32;

/// All of them.
#[derive(Debug)]
pub(super) struct Connections {
    chunks: Vec<Box<[Option<Tracked>]>>,
    free: Vec<Slot>,
    used: usize,
    by_cookie: HashTable<Slot>,
    by_isns: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

const CHUNK: usize = 512;
/// What a tracked connection can take here: itself, its places in the tables, its pair of names.
pub(super) const BOUND_BYTES: u64 = size_of::<Option<Tracked>>() as u64 + 24;

impl Tracked {
    pub(super) fn is(&self, mark: u8) -> bool {
        self.marks & mark == mark
    }
}

impl Address {
    pub(super) fn socket(self) -> SocketAddr {
        let ip = IpAddr::V6(Ipv6Addr::from(self.ip)).to_canonical();
        SocketAddr::new(ip, u16::from_be_bytes(self.port))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: address.port().to_be_bytes(),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            used: 0,
            by_cookie: HashTable::new(),
            by_isns: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn holds(&self, slot: Slot) -> bool {
        self.chunks[slot as usize / CHUNK][slot as usize % CHUNK].is_some()
    }

    pub(super) fn by_cookie(&self, cookie: u64) -> Option<Slot> {
        let hash = self.hasher.hash_one(cookie);
        self.by_cookie
            .find(hash, |slot| self[*slot].cookie == cookie)
            .copied()
    }

    /// The `role` end of the connection with these ISNs.
    pub(super) fn by_isns(&self, isns: Isns, role: Role) -> Option<Slot> {
        let same = |slot: &Slot| self[*slot].isns == isns && self[*slot].role == role;
        self.by_isns.find(self.hasher.hash_one(isns), same).copied()
    }

    pub(super) fn insert(&mut self, tracked: Tracked) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let (cookie, isns) = (
            tracked.cookie,
            tracked.is(marks::ISNS).then_some(tracked.isns),
        );
        self.chunks[slot as usize / CHUNK][slot as usize % CHUNK] = Some(tracked);
        self.used += 1;
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        self.by_cookie
            .insert_unique(hasher.hash_one(cookie), slot, |slot| {
                hasher.hash_one(at(chunks, *slot).cookie)
            });
        if let Some(isns) = isns {
            self.by_isns
                .insert_unique(hasher.hash_one(isns), slot, |slot| {
                    hasher.hash_one(at(chunks, *slot).isns)
                });
        }
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Tracked> {
        let tracked = self.chunks[slot as usize / CHUNK][slot as usize % CHUNK].take()?;
        let hash = self.hasher.hash_one(tracked.cookie);
        if let Ok(entry) = self.by_cookie.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        let hash = self.hasher.hash_one(tracked.isns);
        if let Ok(entry) = self.by_isns.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.used -= 1;
        Some(tracked)
    }

    /// Every slot that is in use.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter());
        all.enumerate()
            .filter(|(_, tracked)| tracked.is_some())
            .map(|(at, _)| at as Slot)
    }

    fn grow(&mut self) -> Slot {
        let first = (self.chunks.len() * CHUNK) as Slot;
        self.chunks.push((0..CHUNK).map(|_| None).collect());
        self.free.extend((first + 1..first + CHUNK as Slot).rev());
        first
    }
}

/// # Panics
/// If the slot is not in use: a bug of the table, whose supervisor starts it anew.
fn at(chunks: &[Box<[Option<Tracked>]>], slot: Slot) -> &Tracked {
    chunks[slot as usize / CHUNK][slot as usize % CHUNK]
        .as_ref()
        .expect("a slot is only kept while it is in use")
}

impl Index<Slot> for Connections {
    type Output = Tracked;

    fn index(&self, slot: Slot) -> &Tracked {
        at(&self.chunks, slot)
    }
}

impl IndexMut<Slot> for Connections {
    fn index_mut(&mut self, slot: Slot) -> &mut Tracked {
        self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
            .as_mut()
            .expect("a slot is only kept while it is in use")
    }
}
