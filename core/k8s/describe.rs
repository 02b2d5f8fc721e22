//! From an object to what is known of it, and what it is called.

use std::net::IpAddr;
use std::sync::Arc;

use tapetum_model::{Attr, Entity};

use crate::facts::{Chosen, Container, Node, Owner, Pod, Port, Transport};
use crate::intern::Names;
use crate::object::{self, ContainerSpec, ContainerStatus};
use crate::{Cluster, Naming};

/// On mirror pods: the UID that the kubelet gave the static pod, by which it calls its cgroup.
const STATIC_UID: &str = "kubernetes.io/config.hash";
const SERVICE_NAME: &str = "resource.opentelemetry.io/service.name";
const SERVICE_NAMESPACE: &str = "resource.opentelemetry.io/service.namespace";
const SERVICE_VERSION: &str = "resource.opentelemetry.io/service.version";
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/instance", "app.kubernetes.io/name"];
const ZONES: [&str; 2] = [
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
];

/// Describes objects.
#[derive(Debug)]
pub(crate) struct Describer {
    pub(crate) naming: Naming,
    pub(crate) cluster: Cluster,
    names: Names,
    nobody: Arc<Entity>,
}

impl Describer {
    pub(crate) fn new(naming: Naming) -> Self {
        Self {
            cluster: Cluster {
                name: Arc::clone(&naming.cluster),
                uid: None,
            },
            naming,
            names: Names::default(),
            nobody: Arc::new(Entity::new([])),
        }
    }

    pub(crate) fn share(&mut self, name: &str) -> Arc<str> {
        self.names.share(name)
    }

    /// A pod; what is as in `former` keeps its entities.
    pub(crate) fn pod(
        &mut self,
        object: &object::Pod,
        owners: Arc<[Owner]>,
        zone: Option<Arc<str>>,
        former: Option<&Pod>,
    ) -> Pod {
        let meta = &object.metadata;
        let spec = &object.spec;
        let containers = self.containers(object);
        let on_host = containers.iter().any(|container| {
            let mut ports = container.ports.iter();
            ports.any(|port| port.on_host.is_some())
        });
        let ips = addresses(object.status.pod_ips.iter().map(|one| one.ip.as_str()));
        let host_ips = match (on_host, spec.host_network) {
            (false, _) => Box::default(),
            (true, true) => ips.clone(),
            (true, false) => addresses(
                std::iter::once(object.status.host_ip.as_str())
                    .chain(object.status.host_ips.iter().map(|one| one.ip.as_str())),
            ),
        };
        let mut pod = Pod {
            uid: meta.uid.as_str().into(),
            static_uid: meta
                .annotations
                .get(STATIC_UID)
                .map(|uid| uid.as_str().into()),
            namespace: self.share(&meta.namespace),
            name: meta.name.as_str().into(),
            node: self.share_some(&spec.node_name),
            zone,
            host_network: spec.host_network,
            ips,
            host_ips,
            owners,
            containers,
            chosen: self.chosen(meta),
            entity: Arc::clone(&self.nobody),
        };
        self.name(&mut pod, former);
        pod
    }

    /// Gives a pod and its containers their entities: those of `former` where they are equal.
    pub(crate) fn name(&self, pod: &mut Pod, former: Option<&Pod>) {
        let names: Vec<_> = pod
            .containers
            .iter()
            .map(|container| {
                let of_container = self.entity(pod, Some(container));
                let known = former.and_then(|former| {
                    former
                        .containers
                        .iter()
                        .find(|one| one.name == container.name)
                });
                kept(of_container, known.map(|known| &known.entity))
            })
            .collect();
        for (container, entity) in pod.containers.iter_mut().zip(names) {
            container.entity = entity;
        }
        pod.entity = match &*pod.containers {
            [only] => Arc::clone(&only.entity),
            _ => kept(self.entity(pod, None), former.map(|former| &former.entity)),
        };
    }

    pub(crate) fn node(&mut self, object: &object::Node) -> Node {
        let meta = &object.metadata;
        let zone = ZONES.iter().find_map(|label| meta.labels.get(*label));
        let name = self.share(&meta.name);
        let zone = zone.and_then(|zone| self.share_some(zone));
        let kinds = ["InternalIP", "ExternalIP"];
        let of_node = object.status.addresses.iter();
        let of_node = of_node.filter(|address| kinds.contains(&address.r#type.as_str()));
        let attributes = [
            (Attr::ServiceName, Some(Arc::clone(&name))),
            (Attr::K8sNodeName, Some(Arc::clone(&name))),
            (Attr::Zone, zone.clone()),
        ];
        let some = |(attr, value): (Attr, Option<Arc<str>>)| Some((attr, value?));
        Node {
            ips: addresses(of_node.map(|address| address.address.as_str())),
            uid: meta.uid.as_str().into(),
            zone,
            name,
            entity: Arc::new(Entity::new(attributes.into_iter().filter_map(some))),
        }
    }

    fn share_some(&mut self, name: &str) -> Option<Arc<str>> {
        (!name.is_empty()).then(|| self.share(name))
    }

    fn containers(&mut self, object: &object::Pod) -> Box<[Container]> {
        let spec = &object.spec;
        let status = &object.status;
        let kinds = [
            (&spec.containers, &status.container_statuses),
            (&spec.init_containers, &status.init_container_statuses),
            (
                &spec.ephemeral_containers,
                &status.ephemeral_container_statuses,
            ),
        ];
        let mut containers = Vec::new();
        for (wanted, are) in kinds {
            for container in wanted {
                let is = are.iter().find(|status| status.name == container.name);
                containers.push(self.container(container, is, spec.host_network));
            }
        }
        containers.into_boxed_slice()
    }

    fn container(
        &mut self,
        wanted: &ContainerSpec,
        is: Option<&ContainerStatus>,
        host_network: bool,
    ) -> Container {
        let port = |port: &object::ContainerPort| {
            let on_host = match (port.host_port, host_network) {
                (0, false) => None,
                (0, true) => Some(port.container_port),
                (on_host, _) => Some(on_host),
            };
            Some(Port {
                number: port.container_port,
                on_host,
                transport: Transport::named(&port.protocol)?,
            })
        };
        let former = is.and_then(|is| is.last_state.terminated.as_ref());
        Container {
            name: self.share(&wanted.name),
            id: is.and_then(|is| bare_id(&is.container_id)),
            former_id: former.and_then(|former| bare_id(&former.container_id)),
            ports: wanted.ports.iter().filter_map(port).collect(),
            entity: Arc::clone(&self.nobody),
        }
    }

    fn chosen(&mut self, meta: &object::Meta) -> Chosen {
        let naming = std::mem::take(&mut self.naming);
        let label = |label: &&str| meta.labels.get(*label).filter(|_| naming.name_labels);
        let service_name = meta.annotations.get(SERVICE_NAME);
        let service_name = service_name.or_else(|| NAME_LABELS.iter().find_map(label));
        let mut attributes = Vec::new();
        let wanted = [
            (&naming.labels, &meta.labels),
            (&naming.annotations, &meta.annotations),
        ];
        for (wanted, have) in wanted {
            for (key, attribute) in wanted {
                if let Some(value) = have.get(&**key) {
                    attributes.push((Arc::clone(attribute), self.share(value)));
                }
            }
        }
        let mut annotation = |key| {
            let value: Option<&String> = meta.annotations.get(key);
            value.and_then(|value| self.share_some(value))
        };
        let chosen = Chosen {
            service_namespace: annotation(SERVICE_NAMESPACE),
            service_version: annotation(SERVICE_VERSION),
            service_name: service_name.and_then(|name| self.share_some(name)),
            attributes: attributes.into_boxed_slice(),
        };
        self.naming = naming;
        chosen
    }

    /// What a container of a pod is called; without one, the pod.
    fn entity(&self, pod: &Pod, container: Option<&Container>) -> Arc<Entity> {
        let workload = pod.workload();
        let chosen = &pod.chosen;
        let name = chosen.service_name.as_ref();
        let name = name.or(workload.map(|workload| &workload.name));
        let namespace = chosen.service_namespace.as_ref().unwrap_or(&pod.namespace);
        let instance = container.map(|container| -> Arc<str> {
            format!("{}.{}.{}", pod.namespace, pod.name, container.name).into()
        });
        let cluster = &self.cluster;
        let attributes = [
            (Attr::ServiceName, Some(name.unwrap_or(&pod.name))),
            (Attr::ServiceNamespace, Some(namespace)),
            (Attr::ServiceInstanceId, instance.as_ref()),
            (Attr::ServiceVersion, chosen.service_version.as_ref()),
            (Attr::K8sNamespaceName, Some(&pod.namespace)),
            (Attr::K8sPodName, Some(&pod.name)),
            (Attr::K8sPodUid, Some(&pod.uid)),
            (
                Attr::K8sContainerName,
                container.map(|container| &container.name),
            ),
            (Attr::K8sNodeName, pod.node.as_ref()),
            (Attr::K8sClusterName, Some(&cluster.name)),
            (Attr::K8sClusterUid, cluster.uid.as_ref()),
            (
                Attr::K8sWorkloadName,
                workload.map(|workload| &workload.name),
            ),
            (
                Attr::K8sWorkloadKind,
                workload.map(|workload| &workload.kind),
            ),
            (Attr::Zone, pod.zone.as_ref()),
            (
                Attr::ContainerId,
                container.and_then(|container| container.id.as_ref()),
            ),
        ];
        let known = attributes.into_iter();
        let known = known.filter_map(|(attr, value)| Some((attr, Arc::clone(value?))));
        let levels = pod.owners.iter().filter_map(|owner| {
            let attr = level(owner)?;
            Some((attr, Arc::clone(&owner.name)))
        });
        let custom = chosen.attributes.iter();
        let custom = custom.map(|(key, value)| (Attr::Custom(Arc::clone(key)), Arc::clone(value)));
        Arc::new(Entity::new(known.chain(levels).chain(custom)))
    }
}

/// The attribute of one level of controllers, for the kinds that have one.
fn level(owner: &Owner) -> Option<Attr> {
    match (owner.group(), &*owner.kind) {
        ("apps", "Deployment") => Some(Attr::K8sDeploymentName),
        ("apps", "StatefulSet") => Some(Attr::K8sStatefulSetName),
        ("apps", "DaemonSet") => Some(Attr::K8sDaemonSetName),
        ("apps", "ReplicaSet") => Some(Attr::K8sReplicaSetName),
        ("batch", "Job") => Some(Attr::K8sJobName),
        ("batch", "CronJob") => Some(Attr::K8sCronJobName),
        _ => None,
    }
}

fn kept(entity: Arc<Entity>, former: Option<&Arc<Entity>>) -> Arc<Entity> {
    match former {
        Some(former) if **former == *entity => Arc::clone(former),
        _ => entity,
    }
}

/// `containerd://ID` without the runtime.
fn bare_id(id: &str) -> Option<Arc<str>> {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    (!id.is_empty()).then(|| id.into())
}

/// Those that read as addresses, each once.
pub(crate) fn addresses<'a>(texts: impl Iterator<Item = &'a str>) -> Box<[IpAddr]> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in texts.filter_map(|text| text.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.into_boxed_slice()
}
