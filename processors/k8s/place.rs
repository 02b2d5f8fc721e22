//! Says on which node the ends of this host live.

use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_model::{Attr, Entity};

/// How many entities it knows at once.
pub(super) const PLACED_MAX: usize = 1_024;

/// Entities of this host with the node's name, by the pointer of the one without.
pub(super) struct Places {
    node: Arc<str>,
    placed: HashMap<usize, Placed>,
}

/// The entity as it came is kept, so that its address means nobody else.
struct Placed {
    came: Arc<Entity>,
    goes: Arc<Entity>,
}

impl Places {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            placed: HashMap::new(),
        }
    }

    /// The same entity, with the node's name if it is known here and not there.
    pub(super) fn place(&mut self, entity: &mut Arc<Entity>) {
        if self.node.is_empty() || entity.attribute(&Attr::K8sNodeName).is_some() {
            return;
        }
        let pointer = Arc::as_ptr(entity) as usize;
        if !self.placed.contains_key(&pointer) {
            if self.placed.len() >= PLACED_MAX {
                self.forget();
            }
            if self.placed.len() >= PLACED_MAX {
                self.placed.clear();
            }
        }
        let placed = self.placed.entry(pointer).or_insert_with(|| {
            let attributes = entity.attributes().iter().cloned();
            let node = (Attr::K8sNodeName, Arc::clone(&self.node));
            Placed {
                came: Arc::clone(entity),
                goes: Arc::new(Entity::new(attributes.chain([node]))),
            }
        });
        *entity = Arc::clone(&placed.goes);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.placed.len()
    }

    /// Forgets the entities that no row will bring again.
    pub(super) fn forget(&mut self) {
        self.placed
            .retain(|_, placed| Arc::strong_count(&placed.came) > 1);
    }
}
