//! Services and their EndpointSlices.

use std::net::IpAddr;
use std::sync::Arc;

use tapetum_model::Service;

use super::{Writer, add, take};
use crate::describe;
use crate::facts::Transport;
use crate::key::{Door, Id, Ip};
use crate::object;
use crate::snapshot::Backend;

/// Which Service a slice belongs to.
const SERVICE_OF: &str = "kubernetes.io/service-name";
/// Above this many Services, those that nobody uses any more are looked for.
const NAMES_LEAST: usize = 256;

/// Where a Service is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KnownService {
    service: Arc<Service>,
    doors: Vec<Door>,
    node_ports: Vec<(u16, Transport)>,
}

/// Where a slice's backends are found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lane {
    service: Arc<Service>,
    backends: Vec<(Door, Option<Id>)>,
}

impl Writer {
    /// A Service is, or changed.
    pub fn apply_service(&mut self, object: &object::Service) {
        let Some(id) = Id::parse(&object.metadata.uid) else {
            return;
        };
        let service = self.service(&object.metadata.namespace, &object.metadata.name);
        let known = known(service, object);
        if self.services.get(&id) == Some(&known) {
            return;
        }
        self.drop_service(id);
        self.changed = true;
        for door in &known.doors {
            add(&mut self.next.services, *door, Arc::clone(&known.service));
        }
        for port in &known.node_ports {
            add(&mut self.next.node_ports, *port, Arc::clone(&known.service));
        }
        if !known.node_ports.is_empty() {
            self.next.published.insert(pointer(&known.service), ());
        }
        self.services.insert(id, known);
    }

    /// An EndpointSlice is, or changed.
    pub fn apply_endpoints(&mut self, object: &object::EndpointSlice) {
        let meta = &object.metadata;
        let (Some(id), Some(name)) = (Id::parse(&meta.uid), meta.labels.get(SERVICE_OF)) else {
            return;
        };
        let service = self.service(&meta.namespace, name);
        let lane = Lane {
            backends: backends(object),
            service,
        };
        if self.lanes.get(&id) == Some(&lane) {
            return;
        }
        self.drop_lane(id);
        self.changed = true;
        for (door, pod) in &lane.backends {
            let backend = Backend {
                service: Arc::clone(&lane.service),
                pod: *pod,
                slice: id,
            };
            add(&mut self.next.backends, *door, backend);
        }
        self.lanes.insert(id, lane);
    }

    pub(super) fn drop_service(&mut self, id: Id) {
        let Some(known) = self.services.remove(&id) else {
            return;
        };
        self.changed = true;
        let is_it = |service: &Arc<Service>| Arc::ptr_eq(service, &known.service);
        for door in &known.doors {
            take(&mut self.next.services, door, is_it);
        }
        for port in &known.node_ports {
            take(&mut self.next.node_ports, port, is_it);
        }
        self.next.published.remove(&pointer(&known.service));
    }

    pub(super) fn drop_lane(&mut self, id: Id) {
        let Some(lane) = self.lanes.remove(&id) else {
            return;
        };
        self.changed = true;
        for (door, _) in &lane.backends {
            take(&mut self.next.backends, door, |backend| backend.slice == id);
        }
    }

    fn service(&mut self, namespace: &str, name: &str) -> Arc<Service> {
        let namespace = self.describer.share(namespace);
        let name = self.describer.share(name);
        let key = (namespace, name);
        if let Some(known) = self.service_names.get(&key) {
            return Arc::clone(known);
        }
        if self.service_names.len() >= NAMES_LEAST.max(2 * self.services.len()) {
            self.service_names
                .retain(|_, service| Arc::strong_count(service) > 1);
        }
        let service = Arc::new(Service {
            namespace: Arc::clone(&key.0),
            name: Arc::clone(&key.1),
        });
        self.service_names.insert(key, Arc::clone(&service));
        service
    }
}

/// Of a Service that is known there is one pointer.
fn pointer(service: &Arc<Service>) -> usize {
    Arc::as_ptr(service) as usize
}

fn known(service: Arc<Service>, object: &object::Service) -> KnownService {
    let spec = &object.spec;
    let ingress = object.status.load_balancer.ingress.iter();
    // A headless one has the address `None`, which does not read as one.
    let ips = std::iter::once(&spec.cluster_ip)
        .chain(&spec.cluster_ips)
        .chain(&spec.external_ips)
        .chain(ingress.map(|ingress| &ingress.ip));
    let ips = describe::addresses(ips.map(String::as_str));
    let mut doors = Vec::new();
    let mut node_ports = Vec::new();
    for port in &spec.ports {
        let Some(transport) = Transport::named(&port.protocol) else {
            continue;
        };
        let door = |ip: &IpAddr| Door::new(Ip::of(*ip), port.port, transport);
        doors.extend(ips.iter().map(door));
        node_ports.extend((port.node_port != 0).then_some((port.node_port, transport)));
    }
    KnownService {
        service,
        doors,
        node_ports,
    }
}

fn backends(object: &object::EndpointSlice) -> Vec<(Door, Option<Id>)> {
    let mut backends = Vec::new();
    for endpoint in &object.endpoints {
        let target = endpoint.target_ref.as_ref();
        let target = target.filter(|target| target.kind == "Pod");
        let pod = target.and_then(|target| Id::parse(&target.uid));
        let ips = describe::addresses(endpoint.addresses.iter().map(String::as_str));
        for port in &object.ports {
            let (Some(number), Some(transport)) = (port.port, Transport::named(&port.protocol))
            else {
                continue;
            };
            let door = |ip: &IpAddr| (Door::new(Ip::of(*ip), number, transport), pod);
            backends.extend(ips.iter().map(door));
        }
    }
    backends
}
