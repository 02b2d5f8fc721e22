//! A connection as a span: what is said of it and under which names, in whatever encoding.
//!
//! Cut into the parts that repeat within a batch (the near end, the far end) and the part that is
//! the row's own, so that a writer may encode the repeating parts once.

use std::net::{IpAddr, SocketAddr};

use tapetum_model::{Attr, Connection, Counters, End, Flags, Role};

use crate::community::CommunityId;
use crate::key::{self, Key, Measure};
use crate::names;

/// W3C trace flags, bit 0: the span was kept.
const SAMPLED: u32 = 1;
/// W3C trace flags, level 2, bit 1: the trace id is random.
const RANDOM: u32 = 2;
/// OTLP: bit 9 says something.
const REMOTE_KNOWN: u32 = 0x100;
/// OTLP: the parent is in another process.
const REMOTE: u32 = 0x200;
/// Longer names of servers are cut in a span's name; their attributes have them whole.
const NAME_MAX: usize = 120;
/// The flags of a link.
pub(crate) const LINK_FLAGS: u32 = RANDOM | SAMPLED | REMOTE_KNOWN;

/// Where attributes are written to.
pub(crate) trait Fields {
    /// Text.
    fn text(&mut self, key: &Key, value: &str);
    /// An address, as text.
    fn address(&mut self, key: &Key, value: IpAddr);
    /// A whole number.
    fn int(&mut self, key: &Key, value: u64);
    /// Seconds.
    fn seconds(&mut self, key: &Key, value: f64);
}

/// The same with names that are put together of two parts, for the attributes of entities.
pub(crate) trait EndFields: Fields {
    /// Text.
    fn named(&mut self, name: (&str, &str), value: &str);
    /// `true`.
    fn yes(&mut self, name: (&str, &str));
}

/// Who the server is to a person: the first half of a span's name, of low cardinality. `None`: only
/// its port is known.
pub(crate) fn server_name(server: &End) -> Option<&str> {
    let entity = server.entity.as_deref();
    let service = server.service.as_deref().map(|service| &service.name);
    let name = service
        .or_else(|| entity?.attribute(&Attr::K8sWorkloadName))
        .or_else(|| entity?.name())?;
    Some(&name[..name.floor_char_boundary(NAME_MAX)])
}

/// The flags of a span.
pub(crate) fn flags(row: &Connection) -> u32 {
    let remote = row.flags.has(Flags::REMOTE_PARENT) && row.parent.is_some();
    SAMPLED | RANDOM | REMOTE_KNOWN | if remote { REMOTE } else { 0 }
}

/// What follows from the near end and the role.
pub(crate) fn near(row: &Connection, to: &mut impl EndFields) {
    let address = row.local.address.ip();
    match row.role {
        Role::Client => to.address(key::CLIENT_ADDRESS, address),
        Role::Server => {
            to.address(key::SERVER_ADDRESS, address);
            asked_for(&row.local, to);
        }
    }
    to.address(key::LOCAL_ADDRESS, address);
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    to.text(key::NETWORK_TYPE, family);
    to.text(key::NETWORK_TRANSPORT, names::span::TRANSPORT_TCP);
}

/// What follows from the far end and the role.
pub(crate) fn far(row: &Connection, to: &mut impl EndFields) {
    let end = &row.remote;
    let side = match row.role {
        Role::Client => {
            to.address(key::SERVER_ADDRESS, end.address.ip());
            asked_for(end, to);
            if let (None, Some(service)) = (&end.entity, &end.service) {
                let namespace = names::parts(&Attr::K8sNamespaceName).1;
                to.named(("destination.", namespace), &service.namespace);
            }
            "destination."
        }
        Role::Server => {
            to.address(key::CLIENT_ADDRESS, end.address.ip());
            "source."
        }
    };
    if let Some(entity) = &end.entity {
        for (attr, value) in entity.attributes() {
            if names::of_far_end(attr) {
                to.named((side, names::parts(attr).1), value);
            }
        }
    }
    if end.translated {
        to.yes((side, names::span::TRANSLATED));
    }
    if row.role == Role::Client {
        let service = end.service.as_ref().map(|service| &service.name);
        let name = end.entity.as_ref().and_then(|entity| entity.name());
        if let Some(name) = name.or(service) {
            to.text(key::SERVICE_PEER_NAME, name);
            to.text(key::PEER_SERVICE, name);
        }
    }
}

/// Who answered, as an address.
pub(crate) fn peer(address: IpAddr, to: &mut impl Fields) {
    to.address(key::PEER_ADDRESS, address);
}

/// What is the row's own.
pub(crate) fn own(row: &Connection, to: &mut impl Fields) {
    let (client, server) = (row.client().address, row.server().address);
    let peer = answered_by(row);
    to.int(key::CLIENT_PORT, u64::from(client.port()));
    to.int(key::SERVER_PORT, u64::from(server.port()));
    to.int(key::PEER_PORT, u64::from(peer.port()));
    to.int(key::LOCAL_PORT, u64::from(row.local.address.port()));
    if let Some(process) = &row.process {
        to.int(key::PROCESS_PID, u64::from(process.pid));
        to.text(key::PROCESS_EXECUTABLE, &process.executable);
    }
    counters(&row.period, |measure| &measure.period, to);
    if row.flags.has(Flags::TOTALS) {
        counters(&row.total, |measure| &measure.total, to);
    }
    microseconds(key::RTT_SMOOTHED, row.rtt_smoothed_us, to);
    microseconds(key::RTT_MIN, row.rtt_min_us, to);
    microseconds(key::RTT_VARIANCE, row.rtt_variance_us, to);
    microseconds(key::HANDSHAKE, row.handshake_us, to);
    count(key::REORDERING, u64::from(row.reordering), to);
    if let Some(reason) = row.end_reason {
        to.text(key::END_REASON, reason.name());
    }
    if let Some(error) = row.error {
        to.text(key::ERROR_TYPE, error.name());
    }
}

/// The id that packet tools give to the same flow, of the socket's own two addresses.
pub(crate) fn community_id(row: &Connection, to: &mut impl Fields) {
    let id = CommunityId::of(row.local.address, row.remote.address);
    to.text(key::COMMUNITY_ID, id.as_str());
}

/// The other socket, as far as is known.
pub(crate) fn answered_by(row: &Connection) -> SocketAddr {
    row.answered_by.unwrap_or(row.remote.address)
}

fn asked_for(server: &End, to: &mut impl EndFields) {
    if let Some(service) = &server.service {
        let name = names::parts(&Attr::K8sServiceName).1;
        to.named(("destination.", name), &service.name);
    }
}

#[inline]
fn counters(of: &Counters, key: impl Fn(&'static Measure) -> &'static Key, to: &mut impl Fields) {
    count(key(key::BYTES_SENT), of.bytes_sent, to);
    count(key(key::BYTES_RECEIVED), of.bytes_received, to);
    count(key(key::PACKETS_SENT), of.packets_sent, to);
    count(key(key::PACKETS_RECEIVED), of.packets_received, to);
    count(key(key::RETRANSMITS), of.retransmits, to);
    count(key(key::BYTES_RETRANSMITTED), of.bytes_retransmitted, to);
    nanoseconds(key(key::RWND_LIMITED), of.rwnd_limited_ns, to);
    nanoseconds(key(key::SNDBUF_LIMITED), of.sndbuf_limited_ns, to);
}

#[inline]
fn count(key: &Key, value: u64, to: &mut impl Fields) {
    if value > 0 {
        to.int(key, value);
    }
}

#[inline]
fn microseconds(key: &Key, value: u32, to: &mut impl Fields) {
    if value > 0 {
        to.seconds(key, f64::from(value) / 1e6);
    }
}

#[inline]
fn nanoseconds(key: &Key, value: u64, to: &mut impl Fields) {
    if value > 0 {
        to.seconds(key, value as f64 / 1e9);
    }
}
