//! A component's table after the check: defaults filled in, substitutions done, types right.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

/// The values of one instance. Made by the configuration crate from the component's own table of
/// options, defaults filled in; a test may make one of any table.
#[derive(Clone, Default)]
pub struct Settings {
    table: toml::Table,
    renewals: BTreeMap<Vec<String>, Renewal>,
}

/// Reads a secret again that comes out of a file, which may have been replaced; `None`: it cannot be
/// read now.
pub type Renewal = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Settings {
    /// Wraps a table that was checked.
    #[must_use]
    pub fn new(table: toml::Table) -> Self {
        Self {
            table,
            renewals: BTreeMap::new(),
        }
    }

    /// The same, with the ways to read some secrets again, by the keys down to them.
    #[must_use]
    pub fn with_renewals(self, renewals: BTreeMap<Vec<String>, Renewal>) -> Self {
        Self { renewals, ..self }
    }

    /// How a secret is read again; `None`: it stands in the file itself.
    #[must_use]
    pub fn renewal(&self, path: &[&str]) -> Option<Renewal> {
        let is_it = |known: &&Vec<String>| known.iter().eq(path.iter());
        let found = self.renewals.keys().find(is_it)?;
        self.renewals.get(found).cloned()
    }

    /// The values as the component's own struct. Its field names are the option keys; durations and
    /// sizes are [`crate::Duration`] and [`crate::Size`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, toml::de::Error> {
        self.table.clone().try_into()
    }

    /// The raw values.
    #[must_use]
    pub fn table(&self) -> &toml::Table {
        &self.table
    }
}

/// The keys alone: a value may be a secret.
impl fmt::Debug for Settings {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_set().entries(self.table.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_in_debug_output() {
        let table = toml::from_str("token = 'hush'").unwrap();
        let text = format!("{:?}", Settings::new(table));
        assert!(text.contains("token") && !text.contains("hush"), "{text}");
    }
}
