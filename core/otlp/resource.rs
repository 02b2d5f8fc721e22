//! The attributes of a resource and of the scope, whatever the encoding.

use tapetum_model::{Attr, Entity, Loss, Window};

use crate::{Agent, names};

/// Says each attribute of the resource of a near end: its entity's, and what is the same for all of
/// this agent. Never without a name of a service.
pub(crate) fn of_near_end(
    agent: &Agent,
    entity: Option<&Entity>,
    say: &mut dyn FnMut(&Attr, &str),
) {
    let has = |attr: &Attr| entity.is_some_and(|entity| entity.attribute(attr).is_some());
    if !has(&Attr::ServiceName) {
        say(&Attr::ServiceName, names::UNKNOWN_SERVICE);
    }
    for (attr, value) in entity.map_or(&[][..], Entity::attributes) {
        if names::of_resource(attr) {
            say(attr, value);
        }
    }
    for (attr, value) in [
        (Attr::K8sClusterName, &agent.cluster),
        (Attr::HostName, &agent.host),
    ] {
        if !value.is_empty() && !has(&attr) {
            say(&attr, value);
        }
    }
}

/// Says each attribute of the scope of spans: the batch's window and how complete it is.
pub(crate) fn of_scope(window: &Window, loss: &Loss, say: &mut dyn FnMut((&str, &str), u64)) {
    say((names::span::WINDOW_START, ""), window.start.0);
    say((names::span::WINDOW_END, ""), window.end.0);
    let stages = loss.by_stage();
    let all = stages.iter().map(|(_, lost)| lost).sum();
    say((names::span::WINDOW_LOST, ""), all);
    for (stage, lost) in stages {
        say((names::span::WINDOW_LOST_IN, stage.name()), lost);
    }
}
