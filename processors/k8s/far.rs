//! Who is at the far end, by its address: pods, Services, nodes, the API server, as the cluster says.
//!
//! An address is somebody's for a time only: who had it when the connection began has it for as long as the
//! connection lasts, whatever happens to the address afterwards.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use tapetum_k8s::{Holder, Node, Pod, Snapshot, Transport};
use tapetum_model::{Attr, Entity, Rows, Service, UnixNanos, Value};

/// What the API server is called where it is no pod: as its pod would be.
const API_SERVER: &str = "kube-apiserver";
/// API servers that are remembered.
const API_SERVERS_MAX: usize = 64;

static LONE_API_SERVER: LazyLock<Arc<Entity>> =
    LazyLock::new(|| Arc::new(Entity::new([(Attr::ServiceName, Arc::from(API_SERVER))])));

/// What is asked of the cluster about one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// The address of this host's end.
    pub(super) near: SocketAddr,
    /// Its address; of a server, as the client asked.
    pub(super) asked: SocketAddr,
    /// Who answered, if another did.
    pub(super) answered_by: Option<SocketAddr>,
    /// Since when it is this end.
    pub(super) began: UnixNanos,
    /// Whether it serves: then its port is its own, and it may have been asked as a Service.
    pub(super) serves: bool,
    pub(super) transport: Transport,
}

/// What the cluster says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) entity: Option<Arc<Entity>>,
    pub(super) service: Option<Arc<Service>>,
    pub(super) translated: bool,
}

/// Answers questions by one snapshot after the other.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// With their nodes, by those.
    api_servers: HashMap<Arc<str>, Arc<Entity>>,
}

impl Question {
    pub(super) fn of(rows: &dyn Rows, row: usize, transport: Transport) -> Self {
        let (near, far) = rows.ends(row);
        Self {
            near: near.address,
            asked: far.address,
            answered_by: rows.answered_by(row),
            began: rows.began(row),
            serves: rows.initiated_here(row),
            transport,
        }
    }

    /// Whose address is looked for.
    pub(super) fn address(&self) -> SocketAddr {
        self.answered_by.unwrap_or(self.asked)
    }
}

impl Addresses {
    /// Who is at an end of which only the address is known. `own`: the name of the node here.
    pub(super) fn name(&mut self, of: &Question, snapshot: &Snapshot, own: &str) -> Answer {
        let address = of.address();
        let holder = snapshot.pod_at(address.ip(), of.began);
        if let Holder::Pod(pod) = holder {
            return Answer {
                entity: Some(of_pod(pod, of)),
                service: service(of, snapshot, Some(pod)),
                translated: false,
            };
        }
        if matches!(holder, Holder::Several) {
            return Answer {
                service: asked_for(of, snapshot),
                ..Answer::default()
            };
        }
        if !of.serves {
            return match snapshot.node_at(address.ip()) {
                Some(node) => client_behind(node, own, of, snapshot),
                None => Answer::default(),
            };
        }
        let on_host = snapshot.host_pod_at(address, of.transport, of.began).pod();
        let entity = match on_host {
            Some(pod) => Some(of_pod(pod, of)),
            None => self.of_machine(address, snapshot),
        };
        Answer {
            entity,
            service: service(of, snapshot, on_host.map(|pod| &**pod)),
            translated: false,
        }
    }

    /// A node, or the API server on one or on none.
    fn of_machine(&mut self, address: SocketAddr, snapshot: &Snapshot) -> Option<Arc<Entity>> {
        let node = snapshot.node_at(address.ip());
        match (snapshot.is_api_server(address), node) {
            (true, Some(node)) => Some(self.api_server(node)),
            (true, None) => Some(Arc::clone(&LONE_API_SERVER)),
            (false, node) => node.map(|node| Arc::clone(&node.entity)),
        }
    }

    fn api_server(&mut self, node: &Node) -> Arc<Entity> {
        if self.api_servers.len() >= API_SERVERS_MAX {
            self.api_servers.clear();
        }
        let known = self.api_servers.entry(Arc::clone(&node.name));
        let entity = known.or_insert_with(|| {
            let name = (Attr::ServiceName, Arc::from(API_SERVER));
            let attributes = node.entity.attributes().iter().cloned();
            Arc::new(Entity::new(attributes.chain([name])))
        });
        Arc::clone(entity)
    }
}

/// The Service by which an end was asked whose pod is `pod`, as far as known.
pub(super) fn service(
    of: &Question,
    snapshot: &Snapshot,
    pod: Option<&Pod>,
) -> Option<Arc<Service>> {
    if !of.serves {
        return None;
    }
    // Who was asked at a pod's own address was asked at no virtual one.
    let directly = of.answered_by.is_none() && pod.is_some_and(|pod| !pod.host_network);
    let virtually = if directly {
        None
    } else {
        asked_for(of, snapshot)
    };
    virtually.or_else(|| {
        // A load balancer inside connect() leaves no trace of what was asked for.
        let backend = snapshot.backend(of.address(), of.transport, pod)?;
        Some(Arc::clone(backend))
    })
}

/// The Service whose own address was asked, or whose port of a node.
fn asked_for(of: &Question, snapshot: &Snapshot) -> Option<Arc<Service>> {
    if !of.serves {
        return None;
    }
    let service = snapshot.service(of.asked, of.transport).or_else(|| {
        of.answered_by?;
        snapshot.node_at(of.asked.ip())?;
        snapshot.node_port(of.asked.port(), of.transport)
    });
    service.cloned()
}

fn of_pod(pod: &Arc<Pod>, of: &Question) -> Arc<Entity> {
    let container = of
        .serves
        .then(|| pod.container_at(of.address().port(), of.transport))
        .flatten();
    Arc::clone(container.map_or(&pod.entity, |container| &container.entity))
}

/// A client with a node's address. On this node its socket would be known if it were one: somebody's whose
/// address was translated here. On another one it is as likely translated where the Service behind which this
/// end is has a port of every node; else it is a process there.
fn client_behind(node: &Node, own: &str, of: &Question, snapshot: &Snapshot) -> Answer {
    let published = || {
        let service = snapshot.backend(of.near, of.transport, None)?;
        Some(snapshot.is_published(service))
    };
    Answer {
        entity: Some(Arc::clone(&node.entity)),
        service: None,
        translated: *node.name == *own || published().unwrap_or(false),
    }
}

/// Whether a pod had lost the address of an end by the time at which that began.
pub(super) fn has_lost_it(pod: &Pod, of: &Question, snapshot: &Snapshot) -> bool {
    let address = of.address().ip();
    if pod.host_network || !pod.ips.contains(&address) {
        return false;
    }
    match snapshot.pod_at(address, of.began) {
        Holder::Pod(holder) => holder.uid != pod.uid,
        Holder::Nobody => true,
        Holder::Several => false,
    }
}

/// Of what transport all rows of a kind are.
pub(super) fn transport(rows: &dyn Rows) -> Transport {
    let of_first = (rows.rows() > 0).then(|| rows.dimension(0, &Attr::NetworkTransport));
    match of_first.flatten() {
        Some(Value::Static("udp")) => Transport::Udp,
        _ => Transport::Tcp,
    }
}

/// Whether an address can be a pod's that the cluster does not know yet.
pub(super) fn may_be_a_pod(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast())
        }
    }
}

/// Whether two addresses begin so much alike that one network may have given both out: some clusters give
/// their pods addresses that the internet could reach.
pub(super) fn are_neighbours(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..2] == other.octets()[..2],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..3] == other.segments()[..3],
        _ => false,
    }
}
