//! Names of addresses that belong to nobody we know: the file's networks, then `external`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_model::{Attr, Entity};

use crate::cidr::{Cidr, number};

/// How many networks a file may name.
pub(super) const NETWORKS_MAX: usize = 65_536;

/// What an address outside is called if the file does not name its network.
const EXTERNAL: &str = "external";

/// The file's networks, the longest prefix first.
pub(super) struct Networks {
    lengths: Vec<u8>,
    named: HashMap<Cidr, Arc<Entity>>,
    external: Arc<Entity>,
}

impl Networks {
    pub(super) fn new(networks: impl IntoIterator<Item = (Cidr, String)>) -> Self {
        let named: HashMap<_, _> = networks
            .into_iter()
            .map(|(cidr, name)| (cidr, entity(&name)))
            .collect();
        let mut lengths: Vec<u8> = named.keys().map(|cidr| cidr.length()).collect();
        lengths.sort_unstable_by(|left, right| right.cmp(left));
        lengths.dedup();
        Self {
            lengths,
            named,
            external: entity(EXTERNAL),
        }
    }

    /// By the networks of the file.
    pub(super) fn named(&self, address: IpAddr) -> Option<&Arc<Entity>> {
        let whole = number(address);
        let mut lengths = self.lengths.iter();
        lengths.find_map(|length| self.named.get(&Cidr::around(whole, *length)))
    }

    /// By what kind of address it is.
    pub(super) fn outside(&self, address: IpAddr) -> Option<&Arc<Entity>> {
        is_outside(address).then_some(&self.external)
    }
}

fn entity(name: &str) -> Arc<Entity> {
    Arc::new(Entity::new([(Attr::ServiceName, Arc::from(name))]))
}

/// Whether an address can only be reached through the internet; the others may be anybody's here.
fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_outside_v4(v4),
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| is_outside_v6(v6), is_outside_v4),
    }
}

fn is_outside_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b); // carriers and clouds use it inside
    let benchmarking = a == 198 && (18..20).contains(&b);
    let reserved = a == 0 || a >= 240;
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || shared
        || benchmarking
        || reserved)
}

fn is_outside_v6(v6: Ipv6Addr) -> bool {
    !(v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_multicast()
        || v6.is_unique_local()
        || v6.is_unicast_link_local())
}
