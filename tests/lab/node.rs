//! A node and its pods: a namespace that routes and translates, and namespaces behind its bridge.
//!
//! Pods have host routes only, so that even two pods of one node talk through the node's forwarding
//! path, where the rules of a test are: as with a routed cluster network.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use anyhow::Result;

use crate::{namespace::Namespace, place::Place, topology::Site};

/// The node's own tables: what a kube-proxy, a CNI plugin and a firewall would have put there.
const RULES: &str = "
table inet lab {
  chain asked { type nat hook prerouting priority dstnat; }
  chain asked_here { type nat hook output priority -100; }
  chain leaving { type nat hook postrouting priority srcnat; }
  chain passing { type filter hook forward priority filter; }
}
";

/// A machine of the lab: pods run behind it, the agent runs on it.
#[derive(Clone, Debug)]
pub struct Node {
    site: Arc<Site>,
    place: Place,
    namespace: Namespace,
    name: String,
    index: u8,
    pods: Arc<AtomicU8>,
}

impl Node {
    pub(crate) fn new(site: &Arc<Site>, wire: &Namespace, name: &str, index: u8) -> Result<Self> {
        let namespace = site.namespace(name)?;
        namespace.sysctl(&[
            "net/ipv4/ip_forward=1",
            "net/ipv4/conf/all/send_redirects=0",
            "net/ipv4/conf/default/send_redirects=0",
            "net/ipv6/conf/all/forwarding=1",
            "net/ipv6/conf/default/accept_dad=0",
        ])?;
        wire.ip(&format!(
            "link add n{index} type veth peer name eth0 netns {}\nlink set n{index} master wire up",
            namespace.name()
        ))?;
        namespace.ip(&format!(
            "link add pods type bridge\n\
             addr add {}/24 dev pods\naddr add {}/64 dev pods nodad\nlink set pods up\n\
             addr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\nlink set eth0 up",
            site.v4(index, 1),
            site.v6(index, 1),
            site.v4(0, index),
            site.v6(0, index)
        ))?;
        namespace.nft(RULES)?;
        let place = Place::new(site, &namespace, &format!("{name}/system"))?;
        Ok(Self {
            site: Arc::clone(site),
            place,
            namespace,
            name: name.to_owned(),
            index,
            pods: Arc::new(AtomicU8::new(2)),
        })
    }

    /// A pod behind this node.
    ///
    /// # Errors
    /// If the machine refuses one of its parts.
    pub fn pod(&self, name: &str) -> Result<Pod> {
        let host = self.pods.fetch_add(1, Ordering::Relaxed);
        let namespace = self.site.namespace(&format!("{}-{name}", self.name))?;
        namespace.sysctl(&["net/ipv6/conf/default/accept_dad=0"])?;
        self.namespace.ip(&format!(
            "link add p{host} type veth peer name eth0 netns {}\nlink set p{host} master pods up",
            namespace.name()
        ))?;
        let (v4, v6) = (
            self.site.v4(self.index, host),
            self.site.v6(self.index, host),
        );
        let (gateway_v4, gateway_v6) = (self.site.v4(self.index, 1), self.site.v6(self.index, 1));
        namespace.ip(&format!(
            "link set eth0 up\naddr add {v4}/32 dev eth0\naddr add {v6}/128 dev eth0 nodad\n\
             route add {gateway_v4} dev eth0\nroute add default via {gateway_v4}\n\
             route add {gateway_v6} dev eth0\nroute add default via {gateway_v6}"
        ))?;
        // A unit of its own, named after the lab: then no other lab's series bear this pod's name.
        let cgroup = format!(
            "{}/system.slice/{name}-{}.service",
            self.name, self.site.number
        );
        let place = Place::new(&self.site, &namespace, &cgroup)?;
        Ok(Pod { place, v4, v6 })
    }

    /// Translates what pods of this node send to `virtual_address` to one of `backends` by turns of chance.
    ///
    /// # Errors
    /// If nft refuses the rule.
    pub fn publish(&self, virtual_address: SocketAddr, backends: &[SocketAddr]) -> Result<()> {
        let family = if virtual_address.is_ipv4() {
            "ip"
        } else {
            "ip6"
        };
        let mut targets = String::new();
        for (index, backend) in backends.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(
                targets,
                "{comma}{index} : {} . {}",
                backend.ip(),
                backend.port()
            )?;
        }
        let count = backends.len();
        for chain in ["asked", "asked_here"] {
            self.place.nft(&format!(
                "add rule inet lab {chain} {family} daddr {} tcp dport {} \
                 dnat {family} to numgen random mod {count} map {{ {targets} }}\n",
                virtual_address.ip(),
                virtual_address.port()
            ))?;
        }
        Ok(())
    }

    /// Hides this node's pods behind its own address towards the other nodes.
    ///
    /// # Errors
    /// If nft refuses the rule.
    pub fn masquerade(&self) -> Result<()> {
        self.place.nft(&format!(
            "add rule inet lab leaving oifname eth0 ip saddr {}/24 masquerade\n\
             add rule inet lab leaving oifname eth0 ip6 saddr {}/64 masquerade\n",
            self.site.v4(self.index, 0),
            self.site.v6(self.index, 0)
        ))?;
        Ok(())
    }

    /// Drops about this share of the TCP packets that the node forwards to or from `port`. Resets pass:
    /// nobody sends one again, and the end that never got it would wait for ever.
    ///
    /// # Errors
    /// If nft refuses the rule.
    pub fn lose(&self, port: u16, percent: u8) -> Result<()> {
        let some = format!("tcp flags & rst == 0 numgen random mod 100 < {percent} counter drop");
        self.on_forward(&format!("tcp dport {port} {some}"))?;
        self.on_forward(&format!("tcp sport {port} {some}"))
    }

    /// Adds a rule to the forwarding path.
    ///
    /// # Errors
    /// If nft refuses it.
    pub fn on_forward(&self, rule: &str) -> Result<()> {
        self.place
            .nft(&format!("add rule inet lab passing {rule}\n"))
            .map(drop)
    }

    /// Takes every rule off the forwarding path.
    ///
    /// # Errors
    /// If nft refuses it.
    pub fn forward_all(&self) -> Result<()> {
        self.place.nft("flush chain inet lab passing\n").map(drop)
    }

    /// The node's address on the wire.
    #[must_use]
    pub fn v4(&self) -> IpAddr {
        self.site.v4(0, self.index)
    }

    /// The same for IPv6.
    #[must_use]
    pub fn v6(&self) -> IpAddr {
        self.site.v6(0, self.index)
    }

    /// Its name within the lab.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn route_to(&self, other: &Self) -> Result<()> {
        self.namespace.ip(&format!(
            "route add {}/24 via {}\nroute add {}/64 via {}",
            other.site.v4(other.index, 0),
            other.v4(),
            other.site.v6(other.index, 0),
            other.v6()
        ))
    }
}

impl Deref for Node {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// A network namespace behind a node, with one address of each family, and a cgroup.
#[derive(Clone, Debug)]
pub struct Pod {
    place: Place,
    v4: IpAddr,
    v6: IpAddr,
}

impl Pod {
    /// Its IPv4 address.
    #[must_use]
    pub fn v4(&self) -> IpAddr {
        self.v4
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn v6(&self) -> IpAddr {
        self.v6
    }

    /// The same pod with another cgroup, by its path below the lab's own.
    ///
    /// # Errors
    /// If the cgroup cannot be made.
    pub fn in_cgroup(&self, path: &str) -> Result<Self> {
        Ok(Self {
            place: self.place.with_cgroup(path)?,
            ..*self
        })
    }
}

impl Deref for Pod {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}
