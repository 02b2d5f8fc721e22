//! The same actions on what is known of an end: once an entity, because many rows share it.

use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_model::{Attr, Entity};
use tapetum_otlp::edit::Level;
use tapetum_otlp::names;

use super::edit::{Action, What, hashed};

/// How many entities it remembers at once.
pub(super) const ENTITIES_MAX: usize = 4_096;

/// Edited entities by the address of the one that came, which is kept so that its address means nobody else.
#[derive(Default)]
pub(super) struct Entities(HashMap<usize, (Arc<Entity>, Arc<Entity>)>);

impl Entities {
    /// Exchanges an entity for the edited one.
    pub(super) fn edit(&mut self, entity: &mut Arc<Entity>, actions: &[Action]) {
        let address = Arc::as_ptr(entity) as usize;
        if let Some((_, edited)) = self.0.get(&address) {
            *entity = Arc::clone(edited);
            return;
        }
        if self.0.len() >= ENTITIES_MAX {
            self.0.clear();
        }
        let edited = Arc::new(edited(entity, actions));
        let came = std::mem::replace(entity, Arc::clone(&edited));
        self.0.insert(address, (came, edited));
    }
}

fn edited(entity: &Entity, actions: &[Action]) -> Entity {
    let mut attributes: Vec<(Attr, Arc<str>)> = entity.attributes().to_vec();
    for action in actions
        .iter()
        .filter(|action| action.is_on(Level::Resource))
    {
        let attr = names::of_entity(&action.attribute);
        let at = attributes.iter().position(|(known, _)| *known == attr);
        match (&action.what, at) {
            (What::Insert(value), None) => attributes.push((attr, value.as_str().into())),
            (What::Update(value), Some(at)) => attributes[at].1 = value.as_str().into(),
            (What::Delete, Some(at)) => {
                attributes.remove(at);
            }
            (What::Hash(hasher), Some(at)) => {
                attributes[at].1 = hashed(hasher, attributes[at].1.as_bytes()).into();
            }
            (What::Rename(to), Some(at)) => {
                let (_, value) = attributes.remove(at);
                attributes.retain(|(known, _)| *known != names::of_entity(to));
                attributes.push((names::of_entity(to), value));
            }
            _ => {}
        }
    }
    Entity::new(attributes)
}
