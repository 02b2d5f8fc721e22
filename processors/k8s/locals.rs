//! What the ends of this host are called: containers as the cluster calls them, all else with its node.

use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_k8s::{Pod, Snapshot};
use tapetum_model::{Attr, Entity};

/// How many entities it knows at once.
pub(super) const LOCALS_MAX: usize = 1_024;

/// Entities of this host as they leave, by the pointer of the one that came.
pub(super) struct Locals {
    node: Arc<str>,
    known: HashMap<usize, Local>,
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
            known: HashMap::new(),
        }
    }

    /// What an end that came as `entity` is called.
    #[inline]
    pub(super) fn find(&mut self, entity: &Arc<Entity>, snapshot: Option<&Snapshot>) -> &Local {
        let pointer = Arc::as_ptr(entity) as usize;
        let version = snapshot.map(Snapshot::version);
        let is_known = self
            .known
            .get(&pointer)
            .is_some_and(|local| local.version == version);
        if !is_known {
            self.learn(pointer, entity, snapshot);
        }
        &self.known[&pointer]
    }

    #[cold]
    fn learn(&mut self, pointer: usize, entity: &Arc<Entity>, snapshot: Option<&Snapshot>) {
        let (goes, open, pod) = self.describe(entity, snapshot);
        let version = snapshot.map(Snapshot::version);
        if let Some(local) = self.known.get_mut(&pointer) {
            // One pointer for as long as it is the same: others remember by it.
            if *local.goes != *goes {
                local.goes = goes;
            }
            (local.open, local.pod, local.version) = (open, pod, version);
            return;
        }
        if self.known.len() >= LOCALS_MAX {
            self.forget();
        }
        if self.known.len() >= LOCALS_MAX {
            self.known.clear();
        }
        let local = Local {
            came: Arc::clone(entity),
            goes,
            open,
            pod,
            version,
        };
        self.known.insert(pointer, local);
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
        self.known.contains_key(&pointer)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the entities that no row will bring again.
    pub(super) fn forget(&mut self) {
        self.known
            .retain(|_, local| Arc::strong_count(&local.came) > 1);
    }
}
