//! The engine's own tables, once checked, as the engine wants them.

use std::path::PathBuf;
use std::time;

use tapetum_pipeline::{Duration, Full, QueueSpec, RetrySpec, ServiceSpec, Size};
use toml::{Table, Value};

use crate::schema;
use crate::value::filled_up;

/// `[service]`
pub(crate) fn service(table: &Table) -> Option<ServiceSpec> {
    Some(ServiceSpec {
        cluster: text(table, "cluster")?,
        data_dir: PathBuf::from(text(table, "data_dir")?),
        admin: text(table, "admin")?,
        memory_bytes: size(table, "memory"),
        drain: duration(table, "drain"),
        trace_key: text(table, "trace_key").filter(|key| !key.is_empty()),
    })
}

/// `queue` of an exporter; a component of another kind has the defaults and no use for them.
pub(crate) fn queue(value: Option<Value>) -> QueueSpec {
    let table = filled_up(schema::QUEUE, as_table(value));
    QueueSpec {
        size_bytes: size(&table, "size"),
        full: match text(&table, "full").as_deref() {
            Some("refuse") => Some(Full::Refuse),
            Some("drop_oldest") => Some(Full::DropOldest),
            Some("drop_newest") => Some(Full::DropNewest),
            Some("block") => Some(Full::Block),
            _ => None,
        },
    }
}

/// `retry` of an exporter.
pub(crate) fn retry(value: Option<Value>) -> RetrySpec {
    let table = filled_up(schema::RETRY, as_table(value));
    RetrySpec {
        first: duration(&table, "first"),
        most: duration(&table, "most"),
        give_up: duration(&table, "give_up"),
    }
}

fn as_table(value: Option<Value>) -> Table {
    match value {
        Some(Value::Table(table)) => table,
        _ => Table::new(),
    }
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key)?.as_str().map(str::to_owned)
}

fn duration(table: &Table, key: &str) -> time::Duration {
    let read = text(table, key).and_then(|text| Duration::parse(&text).ok());
    read.map_or(time::Duration::ZERO, |duration| duration.0)
}

fn size(table: &Table, key: &str) -> u64 {
    let read = text(table, key).and_then(|text| Size::parse(&text).ok());
    read.map_or(0, |size| size.0)
}
