//! A lab: a wire (a namespace that is one bridge), and the nodes that hang on it.
//!
//! Every lab of a kernel has a number of its own, and with it namespaces, addresses and a cgroup that no
//! other lab has: an agent sees the sockets of all of them and a test must be able to tell which are its.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    process,
    sync::Arc,
};

use anyhow::{Result, bail};
use tapetum_testkit::skip;

use crate::{
    cgroup, janitor::Janitor, namespace::Namespace, node::Node, place::Place, privilege::missing,
    programs::tapetum_program,
};

/// How many labs can stand at once; each has sixteen /24 of 10/8.
const LABS_MAX: u32 = 2048;
/// The part of a lab's addresses in which its virtual IPs are.
const VIRTUAL: u8 = 15;

/// Nodes on one wire. Everything that belongs to it is gone after it and all that it made are dropped.
#[derive(Debug)]
pub struct Lab {
    site: Arc<Site>,
    wire: Namespace,
    nodes: Vec<Node>,
}

impl Lab {
    /// An empty lab for the test `name`, or nothing where the machine lacks something for it, and then
    /// the reason has been said.
    ///
    /// # Errors
    /// If the machine refuses one of its parts.
    pub fn for_test(name: &str, tools: &[&str]) -> Result<Option<Self>> {
        if let Some(reason) = missing(tools) {
            skip(name, &reason);
            return Ok(None);
        }
        Self::new().map(Some)
    }

    /// The same for a test that also needs the agent to judge.
    ///
    /// # Errors
    /// If the machine refuses one of its parts.
    pub fn to_judge(name: &str, tools: &[&str]) -> Result<Option<Self>> {
        if let Err(error) = tapetum_program() {
            skip(name, &format!("needs the agent: {error:#}"));
            return Ok(None);
        }
        Self::for_test(name, tools)
    }

    /// An empty lab.
    ///
    /// # Errors
    /// If the machine refuses one of its parts.
    pub fn new() -> Result<Self> {
        let Some(mount) = cgroup::mount() else {
            bail!("no cgroup v2 under /sys/fs/cgroup")
        };
        let (number, wire) = claim()?;
        let prefix = prefix(number);
        let cgroup = mount.join(&prefix);
        let dir = env::temp_dir().join(&prefix);
        let janitor = Janitor::hire(&prefix, &cgroup, &dir)?;
        fs::create_dir_all(&dir)?;
        cgroup::create(&cgroup)?;
        let site = Arc::new(Site {
            number,
            cgroup,
            dir,
            _janitor: janitor,
        });
        wire.ip("link add wire type bridge\nlink set wire up")?;
        wire.ip(&format!(
            "addr add {}/24 dev wire\naddr add {}/64 dev wire nodad",
            site.v4(0, 254),
            site.v6(0, 254)
        ))?;
        Ok(Self {
            site,
            wire,
            nodes: Vec::new(),
        })
    }

    /// Hangs a new node on the wire.
    ///
    /// # Errors
    /// If the machine refuses one of its parts.
    pub fn node(&mut self, name: &str) -> Result<Node> {
        let index = u8::try_from(self.nodes.len() + 1)?;
        if index >= VIRTUAL {
            bail!("a lab has at most {} nodes", VIRTUAL - 1);
        }
        let node = Node::new(&self.site, &self.wire, name, index)?;
        for other in &self.nodes {
            other.route_to(&node)?;
            node.route_to(other)?;
        }
        self.nodes.push(node.clone());
        Ok(node)
    }

    /// The wire's own namespace: the place for servers that belong to no node. It has the
    /// addresses of [`Lab::outside`].
    ///
    /// # Errors
    /// If its cgroup cannot be made.
    pub fn wire(&self) -> Result<Place> {
        Place::new(&self.site, &self.wire, "wire")
    }

    /// The address of the wire's namespace, which every node reaches.
    #[must_use]
    pub fn outside(&self) -> IpAddr {
        self.site.v4(0, 254)
    }

    /// A virtual IP of this lab, which nobody has until a node translates it.
    #[must_use]
    pub fn virtual_v4(&self, index: u8) -> IpAddr {
        self.site.v4(VIRTUAL, index)
    }

    /// The same for IPv6.
    #[must_use]
    pub fn virtual_v6(&self, index: u8) -> IpAddr {
        self.site.v6(VIRTUAL, index)
    }

    /// A port that servers of no other lab listen on: metrics carry ports and no addresses.
    #[must_use]
    pub fn port(&self, index: u8) -> u16 {
        u16::try_from(20_000 + self.site.number * 16 + u32::from(index % 16)).unwrap_or(u16::MAX)
    }

    /// A cgroup whose processes may use so many bytes: its path, for `echo $$ >PATH/cgroup.procs`.
    ///
    /// # Errors
    /// If nothing counts memory here.
    pub fn memory_limit(&self, bytes: u64) -> Result<PathBuf> {
        cgroup::create_with_memory(&self.site.cgroup, &self.prefix(), bytes)
    }

    /// What every namespace and cgroup of this lab is named after.
    #[must_use]
    pub fn prefix(&self) -> String {
        prefix(self.site.number)
    }
}

/// What all parts of a lab share; the last part to go sends the janitor in.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) number: u32,
    pub(crate) cgroup: PathBuf,
    pub(crate) dir: PathBuf,
    // Cleans up when it is dropped.
    _janitor: Janitor,
}

impl Site {
    pub(crate) fn namespace(&self, name: &str) -> Result<Namespace> {
        Namespace::create(format!("{}-{name}", prefix(self.number)))
    }

    /// The host `host` of subnet `net`: 0 is the wire, 1 to 14 are the pods of a node, 15 virtual IPs.
    pub(crate) fn v4(&self, net: u8, host: u8) -> IpAddr {
        let [_, _, high, low] = (self.number * 16 + u32::from(net)).to_be_bytes();
        Ipv4Addr::new(10, 64 + high, low, host).into()
    }

    pub(crate) fn v6(&self, net: u8, host: u8) -> IpAddr {
        let lab = u16::try_from(self.number).unwrap_or(0);
        Ipv6Addr::new(
            0xfd00,
            0x7a70,
            lab,
            u16::from(net),
            0,
            0,
            0,
            u16::from(host),
        )
        .into()
    }
}

/// The first free number, claimed by making the wire's namespace: the kernel lets only one of two do it.
fn claim() -> Result<(u32, Namespace)> {
    let start = process::id() % LABS_MAX;
    let mut refusal = None;
    for step in 0..64 {
        let number = (start + step) % LABS_MAX;
        match Namespace::create(format!("{}-wire", prefix(number))) {
            Ok(wire) => return Ok((number, wire)),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) => Err(error.context("cannot make a network namespace for the lab")),
        None => bail!("no number is left for another lab"),
    }
}

fn prefix(number: u32) -> String {
    format!("tapetum-lab{number}")
}
