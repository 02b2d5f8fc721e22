//! The engine's own tables, once checked, as the engine wants them.

use std::path::PathBuf;
use std::time;

use tapetum_pipeline::{
    DiskSpec, Durable, Duration, Full, Problem, QueueSpec, RetrySpec, ServiceSpec, Size,
};
use toml::de::{DeTable, DeValue};
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
    let full = match text(&table, "full").as_deref() {
        Some("refuse") => Some(Full::Refuse),
        Some("drop_oldest") => Some(Full::DropOldest),
        Some("drop_newest") => Some(Full::DropNewest),
        Some("block") => Some(Full::Block),
        Some("spill") => Some(Full::Spill),
        _ => None,
    };
    let persist = table.get("persist").and_then(Value::as_bool) == Some(true);
    let disk = DiskSpec {
        size_bytes: size(&table, "disk"),
        persist,
        sync: match text(&table, "sync").as_deref() {
            Some("never") => Durable::Never,
            Some("always") => Durable::Always,
            _ => Durable::Second,
        },
    };
    QueueSpec {
        size_bytes: size(&table, "size"),
        full,
        disk: (persist || full == Some(Full::Spill)).then_some(disk),
    }
}

/// What types cannot say of `queue`: keys that say nothing, or not what they seem to.
pub(crate) fn queue_problems(queue: &QueueSpec, table: &DeTable<'_>) -> Vec<Problem> {
    let Some(DeValue::Table(written)) = table.get("queue").map(|value| value.get_ref()) else {
        return Vec::new();
    };
    let problem = |key: &str, message: String, hint: &str| Problem {
        path: vec!["queue".to_owned(), key.to_owned()],
        message,
        hint: Some(hint.to_owned()),
    };
    let Some(disk) = queue.disk else {
        let idle = ["disk", "sync"]
            .into_iter()
            .filter(|key| written.contains_key(*key));
        let message = |key: &str| format!("`queue.{key}` says nothing of a queue without a disk");
        let hint = "add `persist = true` or `full = \"spill\"`, or take it out";
        return idle.map(|key| problem(key, message(key), hint)).collect();
    };
    let mut problems = Vec::new();
    if disk.persist && queue.full == Some(Full::Spill) {
        let message =
            "with `persist` everything goes to disk: `full` says what happens when that is full";
        let hint = "take `persist` out, or choose another `full`";
        problems.push(problem("full", message.to_owned(), hint));
    }
    if disk.size_bytes < queue.size_bytes {
        let message = "`queue.disk` is smaller than `queue.size`".to_owned();
        problems.push(problem("disk", message, "make it the larger one"));
    }
    problems
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
