//! At most so many server ports a pair of ends: a scan, or a server with a port a client, must not
//! make a series each.

use std::sync::Arc;

use hashbrown::HashMap;
use tapetum_model::{Attr, Value};
use tapetum_otlp::names::OTHER;

use super::add::Key;

/// Server ports that a pair of ends can have series of.
pub(super) const PORTS_MAX: usize = 16;

/// The ports that have series, by pair of ends. The series themselves keep the names alive whose
/// addresses stand here: a pair is forgotten with its last series.
#[derive(Default)]
pub(super) struct Ports {
    pairs: HashMap<(usize, usize), Vec<(i64, u32)>>,
}

impl Ports {
    /// Whether a series of this key may say its port.
    pub(super) fn admits(&self, key: &Key) -> bool {
        let Some(port) = port_of(key) else {
            return true;
        };
        self.pairs.get(&pair_of(key)).is_none_or(|ports| {
            ports.len() < PORTS_MAX || ports.iter().any(|(have, _)| *have == port)
        })
    }

    /// A series of this key begins.
    pub(super) fn claim(&mut self, key: &Key) {
        let Some(port) = port_of(key) else { return };
        let ports = self.pairs.entry(pair_of(key)).or_default();
        match ports.iter_mut().find(|(have, _)| *have == port) {
            Some((_, series)) => *series += 1,
            None => ports.push((port, 1)),
        }
    }

    /// A series of this key has ended.
    pub(super) fn release(&mut self, key: &Key) {
        let Some(port) = port_of(key) else { return };
        let Some(ports) = self.pairs.get_mut(&pair_of(key)) else {
            return;
        };
        ports.retain_mut(|(have, series)| {
            *series -= u32::from(*have == port);
            *series > 0
        });
        if ports.is_empty() {
            self.pairs.remove(&pair_of(key));
        }
    }
}

/// Takes the port out of a key.
pub(super) fn fold_port(key: &mut Key) {
    for (attr, value) in key.dimensions.attrs.iter().zip(&mut key.dimensions.values) {
        if *attr == Attr::ServerPort {
            *value = Some(Value::Static(OTHER));
        }
    }
}

/// Takes out of a key whatever the traffic decides: what is left comes from closed lists.
pub(super) fn fold_open(key: &mut Key) {
    for value in key.dimensions.values.iter_mut().flatten() {
        if !matches!(value, Value::Static(_)) {
            *value = Value::Static(OTHER);
        }
    }
}

fn port_of(key: &Key) -> Option<i64> {
    let mut dimensions = key.dimensions.attrs.iter().zip(&key.dimensions.values);
    dimensions.find_map(|(attr, value)| match (attr, value) {
        (Attr::ServerPort, Some(Value::Int(port))) => Some(*port),
        _ => None,
    })
}

fn pair_of(key: &Key) -> (usize, usize) {
    (
        Arc::as_ptr(&key.source) as usize,
        Arc::as_ptr(&key.destination) as usize,
    )
}
