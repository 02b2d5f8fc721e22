//! What readers see: the cluster at one moment, never changed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tapetum_model::{Service, UnixNanos};

use crate::claim::{self, Claim, Holder};
use crate::facts::{Cluster, Container, Node, Pod, Transport};
use crate::few::Few;
use crate::index::State;
use crate::key::{Door, Id, Ip};
use crate::shards::Shards;

/// The cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) version: u64,
    pub(crate) state: State,
    pub(crate) cluster: Cluster,
    /// By `metadata.uid`, and by the UID of static pods' cgroups.
    pub(crate) pods: Shards<Id, Arc<Pod>>,
    pub(crate) containers: Shards<Id, (Arc<Pod>, usize)>,
    pub(crate) addresses: Shards<Ip, Few<Claim>>,
    pub(crate) host_ports: Shards<Door, Few<Claim>>,
    pub(crate) services: Shards<Door, Few<Arc<Service>>>,
    pub(crate) node_ports: Shards<(u16, Transport), Few<Arc<Service>>>,
    /// Services that have a port of every node, by their pointer.
    pub(crate) published: Shards<usize, ()>,
    pub(crate) backends: Shards<Door, Few<Backend>>,
    pub(crate) nodes: Shards<Arc<str>, Arc<Node>>,
    pub(crate) node_addresses: Shards<Ip, Few<Arc<Node>>>,
}

/// That a Service sends to an address.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) service: Arc<Service>,
    /// The pod that is meant: the address may be another's already.
    pub(crate) pod: Option<Id>,
    pub(crate) slice: Id,
}

impl Snapshot {
    /// Grows with each snapshot: answers of the same version are the same.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How it stands with what the index knows.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The cluster itself.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The pod of a UID, which may be written as in a cgroup's path. Dead ones are found for a while.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.pods.get(&Id::parse(uid)?)
    }

    /// The container of an id, which has 64 hexadecimal digits, and its pod.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<(&Arc<Pod>, &Container)> {
        let (pod, at) = self.containers.get(&Id::parse(id)?)?;
        Some((pod, &pod.containers[*at]))
    }

    /// Which pod with a network of its own had an address then.
    #[inline]
    #[must_use]
    pub fn pod_at(&self, address: IpAddr, then: UnixNanos) -> Holder<'_> {
        match self.addresses.get(&Ip::of(address)) {
            Some(_) if self.state.distrusts(then) => Holder::Several,
            Some(claims) => claim::holder(claims, then),
            None => Holder::Nobody,
        }
    }

    /// Which pod had a port of its node then: one in the node's network that declares it, or one whose
    /// port is published there.
    #[must_use]
    pub fn host_pod_at(
        &self,
        address: SocketAddr,
        transport: Transport,
        then: UnixNanos,
    ) -> Holder<'_> {
        match self.host_ports.get(&Door::of(address, transport)) {
            Some(_) if self.state.distrusts(then) => Holder::Several,
            Some(claims) => claim::holder(claims, then),
            None => Holder::Nobody,
        }
    }

    /// The Service of a virtual address (cluster, external or of a load balancer) and port.
    #[must_use]
    pub fn service(&self, address: SocketAddr, transport: Transport) -> Option<&Arc<Service>> {
        self.services.get(&Door::of(address, transport))?.only()
    }

    /// The Service that has a port of every node.
    #[must_use]
    pub fn node_port(&self, port: u16, transport: Transport) -> Option<&Arc<Service>> {
        self.node_ports.get(&(port, transport))?.only()
    }

    /// Whether a Service has a port of every node: who asks there may come with a node's address.
    #[must_use]
    pub fn is_published(&self, service: &Arc<Service>) -> bool {
        self.published
            .get(&(Arc::as_ptr(service) as usize))
            .is_some()
    }

    /// The only Service that sends to an address; `pod`: who has the address, if that is known.
    #[must_use]
    pub fn backend(
        &self,
        address: SocketAddr,
        transport: Transport,
        pod: Option<&Pod>,
    ) -> Option<&Arc<Service>> {
        let id = pod.and_then(|pod| Id::parse(&pod.uid));
        let means = |backend: &&Backend| backend.pod.is_none() || id.is_none() || backend.pod == id;
        let backends = self.backends.get(&Door::of(address, transport))?;
        let mut backends = backends.iter().filter(means);
        let service = &backends.next()?.service;
        backends
            .all(|backend| Arc::ptr_eq(&backend.service, service))
            .then_some(service)
    }

    /// The node of a name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name)
    }

    /// The node that has an address of its own (not one of its pods').
    #[must_use]
    pub fn node_at(&self, address: IpAddr) -> Option<&Arc<Node>> {
        self.node_addresses.get(&Ip::of(address))?.only()
    }

    /// Whether the API server listens there: it is a backend of the Service `default/kubernetes`.
    #[must_use]
    pub fn is_api_server(&self, address: SocketAddr) -> bool {
        let backends = self.backends.get(&Door::of(address, Transport::Tcp));
        backends.is_some_and(|backends| {
            backends.iter().any(|backend| {
                &*backend.service.namespace == "default" && &*backend.service.name == "kubernetes"
            })
        })
    }
}
