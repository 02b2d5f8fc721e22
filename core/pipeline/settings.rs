//! A component's table after the check: defaults filled in, substitutions done, types right.

use serde::de::DeserializeOwned;

/// The values of one instance. Made by the configuration crate from the component's own table of
/// options; a test may make one with [`Settings::parse`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    table: toml::Table,
}

impl Settings {
    /// Wraps a table that was checked.
    #[must_use]
    pub fn new(table: toml::Table) -> Self {
        Self { table }
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
