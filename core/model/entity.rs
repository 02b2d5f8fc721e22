//! Who is at an end of a record: immutable, shared, described once and pointed at by many rows.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::Attr;

/// A container, a systemd unit, a bare process, a node, a named network: whatever an end is.
///
/// Never changed after it was made: a pod that changes gets a new entity, and rows that are on their
/// way keep the one that was true for them.
#[derive(Debug, PartialEq, Eq)]
pub struct Entity {
    attributes: Box<[(Attr, Arc<str>)]>,
}

impl Entity {
    /// An entity of these attributes; empty values are left out, the last of two equal keys wins.
    #[must_use]
    pub fn new(attributes: impl IntoIterator<Item = (Attr, Arc<str>)>) -> Self {
        let mut sorted: Vec<(Attr, Arc<str>)> = Vec::new();
        for (attr, value) in attributes
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
        {
            match sorted.binary_search_by(|(have, _)| have.cmp(&attr)) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (attr, value)),
            }
        }
        Self {
            attributes: sorted.into_boxed_slice(),
        }
    }

    /// Its attributes, in the order of [`Attr`].
    #[must_use]
    pub fn attributes(&self) -> &[(Attr, Arc<str>)] {
        &self.attributes
    }

    /// The value of one attribute.
    #[must_use]
    pub fn attribute(&self, attr: &Attr) -> Option<&Arc<str>> {
        let at = self
            .attributes
            .binary_search_by(|(have, _)| have.cmp(attr))
            .ok()?;
        Some(&self.attributes[at].1)
    }

    /// `service.name`: what a person calls it.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.attribute(&Attr::ServiceName)
    }
}

/// A Kubernetes Service that a client asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// One end of a record: the address in the packet, and who that was at that time.
///
/// Every record kind names its two ends with this type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The address as the socket has it; an IPv4-mapped IPv6 address is held as IPv4.
    pub address: SocketAddr,
    /// Who it is; `None` where that is not known.
    pub entity: Option<Arc<Entity>>,
    /// The Service that was asked for at this end, if one was.
    pub service: Option<Arc<Service>>,
    /// The address was rewritten on the way: the entity is who translated it, not who is behind.
    pub translated: bool,
}

impl End {
    /// An end of which only the address is known.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let address = match address.ip() {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, |v4| {
                SocketAddr::new(IpAddr::V4(v4), address.port())
            }),
            IpAddr::V4(_) => address,
        };
        Self {
            address,
            entity: None,
            service: None,
            translated: false,
        }
    }

    /// The addresses of what it points to: two ends of which these are equal are called the same, as
    /// long as somebody keeps both alive.
    #[must_use]
    pub fn pointers(&self) -> (usize, usize) {
        let entity = self
            .entity
            .as_ref()
            .map_or(0, |it| Arc::as_ptr(it) as usize);
        let service = self
            .service
            .as_ref()
            .map_or(0, |it| Arc::as_ptr(it) as usize);
        (entity, service)
    }
}
