//! What is known of pods, containers and nodes: immutable, shared, made by the writer.

use std::net::IpAddr;
use std::sync::Arc;

use tapetum_model::Entity;

/// What the file chose of how pods are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Naming {
    /// `k8s.cluster.name`; empty if not given.
    pub cluster: Arc<str>,
    /// Whether `service.name` may come from the labels `app.kubernetes.io/instance` and `name`.
    pub name_labels: bool,
    /// Labels of pods that become attributes: the label, and what the attribute is called.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// Annotations of pods that become attributes.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
}

/// The cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// As the file calls it; empty if it does not.
    pub name: Arc<str>,
    /// The UID of the namespace `kube-system`, once that is known.
    pub uid: Option<Arc<str>>,
}

/// A pod, as it was when its object last changed in what matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// The UID that cgroup paths have for a static pod: its mirror's UID is another one.
    pub static_uid: Option<Arc<str>>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The node that it is bound to.
    pub node: Option<Arc<str>>,
    /// The node's zone, once that is known.
    pub zone: Option<Arc<str>>,
    /// It has no network of its own: its addresses are its node's.
    pub host_network: bool,
    /// All of `status.podIPs`.
    pub ips: Box<[IpAddr]>,
    /// All addresses of its node, if a container declares a port there.
    pub host_ips: Box<[IpAddr]>,
    /// Its controllers that could be read, the nearest first: the last is the workload.
    pub owners: Arc<[Owner]>,
    /// Init, main and ephemeral ones.
    pub containers: Box<[Container]>,
    /// What the file chose of its labels and annotations, and its `resource.opentelemetry.io/…`.
    pub chosen: Chosen,
    /// What it is called where no container is known; with the container's name if it has only one.
    pub entity: Arc<Entity>,
}

/// What names of a pod come from its labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// `service.name`, by the annotation, or by the label if those are opted in.
    pub service_name: Option<Arc<str>>,
    /// `service.namespace`, by the annotation.
    pub service_namespace: Option<Arc<str>>,
    /// `service.version`, by the annotation.
    pub service_version: Option<Arc<str>>,
    /// Attributes and values.
    pub attributes: Box<[(Arc<str>, Arc<str>)]>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: Arc<str>,
    /// Its id without the runtime's scheme, once it runs.
    pub id: Option<Arc<str>>,
    /// The id that it had before it was last restarted.
    pub former_id: Option<Arc<str>>,
    /// The ports that it declares.
    pub ports: Box<[Port]>,
    /// What it is called.
    pub entity: Arc<Entity>,
}

/// A port that a container declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// In the pod.
    pub number: u16,
    /// On the node, if there too; in the host's network it is the same number.
    pub on_host: Option<u16>,
    /// Of which transport.
    pub transport: Transport,
}

/// A transport protocol, as far as Services and ports know one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

/// A controller of a pod, or of another controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `apps/v1`
    pub api_version: Arc<str>,
    /// `Deployment`
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// All internal and external addresses.
    pub ips: Box<[IpAddr]>,
    /// What it is called as an end.
    pub entity: Arc<Entity>,
}

impl Pod {
    /// The controller at the top: what a person calls the workload.
    #[must_use]
    pub fn workload(&self) -> Option<&Owner> {
        self.owners.last()
    }

    /// The container that has a port: the only one, or the only one that declares it.
    #[must_use]
    pub fn container_at(&self, port: u16, transport: Transport) -> Option<&Container> {
        if let [only] = &*self.containers {
            return Some(only);
        }
        let mut declared = self.containers.iter().filter(|container| {
            let mut ports = container.ports.iter();
            ports.any(|one| one.number == port && one.transport == transport)
        });
        declared.next().filter(|_| declared.next().is_none())
    }
}

impl Owner {
    /// A controller.
    #[must_use]
    pub fn new(
        api_version: impl Into<Arc<str>>,
        kind: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
        }
    }

    /// `apps`; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }
}

impl Transport {
    /// As the API server writes it; empty is its default.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" | "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }
}
