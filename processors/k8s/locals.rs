//! What the ends of this host are called: containers as the cluster calls them, all else with its node.

use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_k8s::{Pod, Snapshot};
use tapetum_model::{Attr, Entity};

/// How many entities it knows at once.
pub(super) const LOCALS_MAX: usize = 1_024;

const LAST: usize = 512;

/// Entities of this host as they leave, by the pointer of the one that came.
pub(super) struct Locals {
    node: Arc<str>,
    known: Vec<Local>,
    /// Where in `known`, by the pointer of the entity that came.
    places: HashMap<usize, u32>,
    /// The same of those that came last, by some bits of the pointer: found without a search.
    last: Box<[(usize, u32); LAST]>,
}

/// One of them.
pub(super) struct Local {
    /// Kept, so that its address means nobody else.
    came: Arc<Entity>,
    pub(super) goes: Arc<Entity>,
    /// The cluster should know its pod and container, and does not yet.
    pub(super) open: bool,
    /// Its pod, if that is known.
    pub(super) pod: Option<Arc<Pod>>,
    /// Of the snapshot that said so.
    version: Option<u64>,
}

impl Locals {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            known: Vec::new(),
            places: HashMap::new(),
            last: Box::new([(0, 0); LAST]),
        }
    }

    /// What an end that came as `entity` is called.
    #[inline]
    pub(super) fn find(&mut self, entity: &Arc<Entity>, snapshot: Option<&Snapshot>) -> &Local {
        let pointer = Arc::as_ptr(entity) as usize;
        let version = snapshot.map(Snapshot::version);
        let slot = slot(pointer);
        let (known, place) = self.last[slot];
        if known == pointer && self.known[place as usize].version == version {
            return &self.known[place as usize];
        }
        let place = self.places.get(&pointer).map(|place| *place as usize);
        let place = match place {
            Some(place) if self.known[place].version == version => place,
            place => self.learn(place, entity, snapshot),
        };
        self.last[slot] = (pointer, place as u32);
        &self.known[place]
    }

    /// Describes who is not known, or was by another snapshot: where that is from now on.
    #[cold]
    fn learn(
        &mut self,
        place: Option<usize>,
        entity: &Arc<Entity>,
        snapshot: Option<&Snapshot>,
    ) -> usize {
        let (goes, open, pod) = self.describe(entity, snapshot);
        let version = snapshot.map(Snapshot::version);
        if let Some(place) = place {
            let local = &mut self.known[place];
            // One pointer for as long as it is the same: others remember by it.
            if *local.goes != *goes {
                local.goes = goes;
            }
            (local.open, local.pod, local.version) = (open, pod, version);
            return place;
        }
        if self.known.len() >= LOCALS_MAX {
            self.forget();
        }
        if self.known.len() >= LOCALS_MAX {
            self.known.clear();
            self.places.clear();
            self.last.fill((0, 0));
        }
        self.known.push(Local {
            came: Arc::clone(entity),
            goes,
            open,
            pod,
            version,
        });
        let place = self.known.len() - 1;
        let pointer = Arc::as_ptr(entity) as usize;
        self.places.insert(pointer, place as u32);
        place
    }

    /// What it is called, whether more should be known, and its pod.
    fn describe(
        &self,
        entity: &Arc<Entity>,
        snapshot: Option<&Snapshot>,
    ) -> (Arc<Entity>, bool, Option<Arc<Pod>>) {
        let has = |attr| entity.attribute(&attr).is_some();
        if has(Attr::K8sPodName) || has(Attr::K8sNodeName) {
            return (Arc::clone(entity), false, None);
        }
        let (Some(snapshot), Some(uid)) = (snapshot, entity.attribute(&Attr::K8sPodUid)) else {
            return (self.of_node(entity, snapshot), false, None);
        };
        let container = entity.attribute(&Attr::ContainerId);
        if let Some((pod, container)) = container.and_then(|id| snapshot.container(id)) {
            return (Arc::clone(&container.entity), false, Some(Arc::clone(pod)));
        }
        let Some(pod) = snapshot.pod(uid) else {
            return (self.of_node(entity, Some(snapshot)), true, None);
        };
        // The API server hears of a container a while after it has begun.
        let id = container.map(|id| (Attr::ContainerId, Arc::clone(id)));
        let attributes = pod.entity.attributes().iter().cloned();
        let entity = Arc::new(Entity::new(attributes.chain(id)));
        (entity, true, Some(Arc::clone(pod)))
    }

    /// The entity with what is known of the node that it lives on.
    fn of_node(&self, entity: &Arc<Entity>, snapshot: Option<&Snapshot>) -> Arc<Entity> {
        if self.node.is_empty() {
            return Arc::clone(entity);
        }
        let mut more = vec![(Attr::K8sNodeName, Arc::clone(&self.node))];
        if let Some(snapshot) = snapshot {
            let zone = snapshot.node(&self.node).and_then(|node| node.zone.clone());
            more.extend(zone.map(|zone| (Attr::Zone, zone)));
            let cluster = snapshot.cluster();
            more.push((Attr::K8sClusterName, Arc::clone(&cluster.name)));
            more.extend(cluster.uid.clone().map(|uid| (Attr::K8sClusterUid, uid)));
        }
        let attributes = entity.attributes().iter().cloned();
        Arc::new(Entity::new(attributes.chain(more)))
    }

    /// Whether somebody came by this pointer.
    pub(super) fn knows(&self, pointer: usize) -> bool {
        self.places.contains_key(&pointer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the entities that no row will bring again.
    pub(super) fn forget(&mut self) {
        self.known
            .retain(|local| Arc::strong_count(&local.came) > 1);
        let pointers = self
            .known
            .iter()
            .map(|local| Arc::as_ptr(&local.came) as usize);
        self.places = pointers.zip(0..).collect();
        self.last.fill((0, 0));
    }
}

/// The high bits of a product depend on all of a pointer.
fn slot(pointer: usize) -> usize {
    let mixed = (pointer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - LAST.ilog2())) as usize
}
