//! What the engine would lend to a component, for a test of the component alone.

use std::sync::Arc;

use tapetum_pipeline::{
    Clock, Context, Gate, Health, Listeners, Memory, ServiceInfo, Settings, Telemetry,
};

use crate::Held;

/// A context whose clock stands still at [`crate::clock::EPOCH`].
#[must_use]
pub fn context(instance: &str) -> Context {
    context_at(instance, Arc::new(Held::default()))
}

/// A context with a clock that the test keeps a hand on.
#[must_use]
pub fn context_at(instance: &str, clock: Arc<dyn Clock>) -> Context {
    Context {
        instance: instance.into(),
        service: Arc::new(ServiceInfo {
            cluster: "test-cluster".to_owned(),
            node: "test-node".to_owned(),
            host: "test-host".to_owned(),
            instance: "test-instance".to_owned(),
            version: "0.0.0",
            ..ServiceInfo::default()
        }),
        clock,
        telemetry: Telemetry::default().of(instance),
        health: Health::default(),
        listeners: Listeners::default(),
        memory: Memory::default(),
        gate: Gate::default(),
    }
}

/// Settings out of TOML text, without the defaults that the configuration fills in.
///
/// # Panics
/// If the text is not TOML.
#[must_use]
pub fn settings(text: &str) -> Settings {
    Settings::new(text.parse().expect("a test's settings are TOML"))
}
