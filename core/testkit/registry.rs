//! How a component finds its script: a component is built by a plain function of its settings, so
//! the script's number is its one setting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tapetum_pipeline::{BuildError, Settings};

/// The scripts of one kind of component.
pub(crate) struct Registry<T>(Mutex<(i64, BTreeMap<i64, Arc<T>>)>);

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new((0, BTreeMap::new())))
    }

    /// Keeps a script; its number.
    pub(crate) fn enter(&self, script: &Arc<T>) -> i64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let number = state.0;
        state.1.insert(number, Arc::clone(script));
        number
    }

    pub(crate) fn find(&self, settings: &Settings) -> Result<Arc<T>, BuildError> {
        let number = settings
            .table()
            .get("script")
            .and_then(toml::Value::as_integer);
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        number
            .and_then(|number| state.1.get(&number).cloned())
            .ok_or_else(|| BuildError::new("there is no such script"))
    }
}

/// Settings that name a script.
pub(crate) fn number(script: i64) -> Settings {
    let mut table = toml::Table::new();
    table.insert("script".to_owned(), toml::Value::Integer(script));
    Settings::new(table)
}
