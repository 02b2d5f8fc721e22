//! The one writer: takes objects and publishes snapshots.

mod pods;
mod services;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use tapetum_model::{Service, UnixNanos};

use self::pods::{Gone, Known};
use self::services::{KnownService, Lane};
use crate::claim::Moment;
use crate::describe::Describer;
use crate::facts::{Naming, Node};
use crate::few::Few;
use crate::index::{Index, State};
use crate::key::{Id, Ip};
use crate::object::{self, Meta};
use crate::shards::Shards;
use crate::snapshot::Snapshot;

/// Takes objects as they come and shows readers the whole. Nothing is seen before it is published.
#[derive(Debug)]
pub struct Writer {
    index: Index,
    next: Snapshot,
    changed: bool,
    describer: Describer,
    pods: HashMap<Id, Known>,
    /// What is to be forgotten, the oldest first.
    gone: VecDeque<(UnixNanos, Gone)>,
    services: HashMap<Id, KnownService>,
    lanes: HashMap<Id, Lane>,
    /// One pointer a Service, whichever object names it first.
    service_names: HashMap<(Arc<str>, Arc<str>), Arc<Service>>,
    nodes: HashMap<Id, Arc<Node>>,
}

/// The objects that a whole list had.
#[derive(Debug, Default)]
pub struct Seen(HashSet<Id>);

/// What there are lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pods
    Pods,
    /// Services
    Services,
    /// EndpointSlices
    EndpointSlices,
    /// Nodes
    Nodes,
}

impl Writer {
    /// A writer and the index that it fills.
    #[must_use]
    pub fn new(naming: Naming) -> (Self, Index) {
        let index = Index::default();
        (Self::of(index.clone(), naming), index)
    }

    /// A writer that takes the place of another: readers keep what they have until it publishes.
    pub(crate) fn of(index: Index, naming: Naming) -> Self {
        let describer = Describer::new(naming);
        Self {
            next: Snapshot {
                cluster: describer.cluster.clone(),
                version: index.snapshot().version,
                ..Snapshot::default()
            },
            index,
            changed: true,
            describer,
            pods: HashMap::new(),
            gone: VecDeque::new(),
            services: HashMap::new(),
            lanes: HashMap::new(),
            service_names: HashMap::new(),
            nodes: HashMap::new(),
        }
    }

    /// Shows readers all that changed; forgets what is dead for long enough.
    pub fn publish(&mut self, now: Moment) {
        self.forget(now.at);
        if std::mem::take(&mut self.changed) {
            self.next.version += 1;
            self.index.publish(self.next.clone());
        }
    }

    /// Says how it stands.
    pub fn stands(&mut self, state: State) {
        self.changed |= self.next.state != state;
        self.next.state = state;
    }

    /// Learns the UID of the namespace `kube-system`.
    pub fn cluster_uid(&mut self, uid: &str) {
        let uid = Some(Arc::from(uid));
        if self.describer.cluster.uid != uid {
            self.describer.cluster.uid = uid;
            self.next.cluster = self.describer.cluster.clone();
            self.changed = true;
            self.name_again(|_| true);
        }
    }

    /// A node is, or changed.
    pub fn apply_node(&mut self, object: &object::Node) {
        let Some(id) = Id::parse(&object.metadata.uid) else {
            return;
        };
        let node = self.describer.node(object);
        if self.nodes.get(&id).is_some_and(|known| **known == node) {
            return;
        }
        self.drop_node(id);
        self.changed = true;
        let node = Arc::new(node);
        self.nodes.insert(id, Arc::clone(&node));
        self.next
            .nodes
            .insert(Arc::clone(&node.name), Arc::clone(&node));
        for ip in &node.ips {
            add(
                &mut self.next.node_addresses,
                Ip::of(*ip),
                Arc::clone(&node),
            );
        }
        self.name_again(|pod| pod.node.as_ref() == Some(&node.name));
    }

    /// An object is gone.
    pub fn delete(&mut self, kind: Kind, meta: &Meta, now: Moment) {
        if let Some(id) = Id::parse(&meta.uid) {
            self.drop_one(kind, id, now);
        }
    }

    /// A whole list was read: what it does not have is gone.
    pub fn keep(&mut self, kind: Kind, seen: &Seen, now: Moment) {
        let lacking = |id: &Id| !seen.0.contains(id);
        let gone: Vec<Id> = match kind {
            Kind::Pods => self.pods.keys().copied().filter(lacking).collect(),
            Kind::Services => self.services.keys().copied().filter(lacking).collect(),
            Kind::EndpointSlices => self.lanes.keys().copied().filter(lacking).collect(),
            Kind::Nodes => self.nodes.keys().copied().filter(lacking).collect(),
        };
        for id in gone {
            self.drop_one(kind, id, now);
        }
    }

    /// How many objects of a kind are known; pods also for a while after their death.
    #[must_use]
    pub fn objects(&self, kind: Kind) -> usize {
        match kind {
            Kind::Pods => self.pods.len(),
            Kind::Services => self.services.len(),
            Kind::EndpointSlices => self.lanes.len(),
            Kind::Nodes => self.nodes.len(),
        }
    }

    fn drop_one(&mut self, kind: Kind, id: Id, now: Moment) {
        match kind {
            Kind::Pods => self.end_pod(id, now),
            Kind::Services => self.drop_service(id),
            Kind::EndpointSlices => self.drop_lane(id),
            Kind::Nodes => self.drop_node(id),
        }
    }

    fn drop_node(&mut self, id: Id) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        self.changed = true;
        let is_it = |known: &Arc<Node>| known.uid == node.uid;
        if self.next.nodes.get(&*node.name).is_some_and(is_it) {
            self.next.nodes.remove(&node.name);
        }
        for ip in &node.ips {
            take(&mut self.next.node_addresses, &Ip::of(*ip), |known| {
                known.uid == node.uid
            });
        }
    }
}

impl Kind {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::Pods,
        Self::Services,
        Self::EndpointSlices,
        Self::Nodes,
    ];

    /// As the API calls it: `endpointslices`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Nodes => "nodes",
        }
    }
}

impl Seen {
    /// Whether the list has it.
    #[must_use]
    pub fn has(&self, meta: &Meta) -> bool {
        Id::parse(&meta.uid).is_some_and(|id| self.0.contains(&id))
    }

    /// The list has this object.
    pub fn add(&mut self, meta: &Meta) {
        self.0.extend(Id::parse(&meta.uid));
    }
}

/// Adds one more value to a key.
fn add<K, V>(map: &mut Shards<K, Few<V>>, key: K, value: V)
where
    K: std::hash::Hash + Eq + Clone,
    V: Clone,
{
    match map.get_mut(&key) {
        Some(few) => few.push(value),
        None => map.insert(key, Few::one(value)),
    }
}

/// Takes the values away from a key that are meant.
fn take<K, V>(map: &mut Shards<K, Few<V>>, key: &K, is_meant: impl Fn(&V) -> bool)
where
    K: std::hash::Hash + Eq + Clone,
    V: Clone,
{
    if let Some(few) = map.get_mut(key)
        && !few.retain(|value| !is_meant(value))
    {
        map.remove(key);
    }
}
