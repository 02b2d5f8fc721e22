//! Names of addresses that belong to nobody we know: the file's networks, then `external`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_model::{Attr, Entity};

/// How many networks a file may name.
pub(super) const NETWORKS_MAX: usize = 65_536;

/// What an address outside is called if the file does not name its network.
const EXTERNAL: &str = "external";

/// A network: addresses as IPv6, so that one table holds both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cidr {
    address: u128,
    length: u8,
}

/// What does not read as a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CidrError {
    /// Not of the form.
    #[error("`{0}` is not a network in CIDR notation")]
    Form(String),
    /// Bits behind the prefix: probably a slip of the prefix.
    #[error("`{0}` has bits set behind its prefix: is it the address of a host?")]
    HostBits(String),
}

/// The file's networks, the longest prefix first.
pub(super) struct Networks {
    lengths: Vec<u8>,
    named: HashMap<Cidr, Arc<Entity>>,
    external: Arc<Entity>,
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Result<Self, CidrError> {
        let form = || CidrError::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let length: u8 = length.parse().map_err(|_| form())?;
        let length = match address {
            IpAddr::V4(_) if length <= 32 => length + 96,
            IpAddr::V6(_) if length <= 128 => length,
            _ => return Err(form()),
        };
        let whole = number(address);
        let network = Self::around(whole, length);
        if network.address != whole {
            return Err(CidrError::HostBits(text.to_owned()));
        }
        Ok(network)
    }

    fn around(address: u128, length: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Self {
            address: address & mask,
            length,
        }
    }
}

impl Networks {
    pub(super) fn new(networks: impl IntoIterator<Item = (Cidr, String)>) -> Self {
        let named: HashMap<_, _> = networks
            .into_iter()
            .map(|(cidr, name)| (cidr, entity(&name)))
            .collect();
        let mut lengths: Vec<u8> = named.keys().map(|cidr| cidr.length).collect();
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

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
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
