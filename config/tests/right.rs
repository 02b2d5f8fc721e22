//! What a right file becomes.

use std::path::Path;
use std::time::Duration;

use tapetum_pipeline::{DiskSpec, Durable, Full, QueueSpec, RetrySpec};

use super::{COMPONENTS, Small, read, with};
use crate::{Source, load};

#[test]
fn the_smallest_file_has_all_defaults() {
    let spec = read(&with("")).unwrap();
    assert_eq!(spec.service.admin, "127.0.0.1:9465");
    assert_eq!(spec.service.data_dir, Path::new("/var/lib/tapetum"));
    assert_eq!(spec.service.memory_bytes, 256 << 20);
    assert_eq!(spec.service.drain, Duration::from_secs(10));
    assert_eq!(spec.service.trace_key, None);
    let tcp = spec.receivers[0].settings.table();
    assert_eq!(tcp["sweep"].as_str(), Some("10s"));
    assert_eq!(tcp["max_connections"].as_integer(), Some(65_536));
    assert_eq!(tcp["exclude"][0].as_str(), Some("self"));
    let otlp = &spec.exporters[0];
    let keys: Vec<_> = otlp.settings.table().keys().collect();
    assert_eq!(keys, ["endpoint", "headers", "limit"]);
    let queue = QueueSpec {
        size_bytes: 16 << 20,
        full: None,
        disk: None,
    };
    assert_eq!(otlp.queue, queue);
    let retry = RetrySpec {
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
        give_up: Duration::from_secs(900),
    };
    assert_eq!(otlp.retry, retry);
}

#[test]
fn everything_may_be_given() {
    let spec = read(
        r#"
        [service]
        cluster = "c-${env:NODE}"
        data_dir = "state"
        trace_key = "${file:token}"
        [receivers."tcp/a"]
        max_connections = "${env:MAX}"
        exclude = ["loopback", "self"]
        [processors.sample]
        keep_errors = "${env:NO:-false}"
        share = "0.5%"
        [exporters."otlp/archive"]
        endpoint = "https://[::1]:4318/x"
        headers = { authorization = "Bearer ${env:TOKEN}", "x-b" = "$$5" }
        ca = "ca.pem"
        queue = { size = "64KiB", full = "drop_oldest" }
        retry.give_up = "1h"
        [pipelines.p]
        receivers = ["tcp/a"]
        processors = ["sample"]
        exporters = ["otlp/archive"]
        "#,
    )
    .unwrap();
    assert_eq!(spec.service.cluster, "c-n1");
    assert_eq!(spec.service.data_dir, Path::new("/etc/tapetum/state"));
    assert_eq!(spec.service.trace_key.as_deref(), Some("hush-hush"));
    let tcp = spec.receivers[0].settings.table();
    assert_eq!(tcp["max_connections"].as_integer(), Some(4096));
    let sample = spec.processors[0].settings.table();
    assert_eq!(sample["keep_errors"].as_bool(), Some(false));
    let otlp = &spec.exporters[0];
    let headers = &otlp.settings.table()["headers"];
    assert_eq!(headers["authorization"].as_str(), Some("Bearer hush-hush"));
    assert_eq!(headers["x-b"].as_str(), Some("$5"));
    let ca = &otlp.settings.table()["ca"];
    assert_eq!(ca.as_str(), Some("/etc/tapetum/ca.pem"));
    assert_eq!(otlp.queue.size_bytes, 64 << 10);
    assert_eq!(otlp.queue.full, Some(Full::DropOldest));
    assert_eq!(otlp.retry.give_up, Duration::from_secs(3600));
    assert_eq!(otlp.retry.first, Duration::from_secs(1));
    assert_eq!(spec.pipelines[0].exporters, ["otlp/archive"]);
}

#[test]
fn a_queue_may_use_the_disk_in_two_ways() {
    let disk_of = |line: &str| {
        let line = format!("[exporters.otlp]\nqueue = {line}");
        let text = with("").replacen("[exporters.otlp]", &line, 1);
        let queue = read(&text).unwrap().exporters[0].queue;
        (queue.full, queue.disk.unwrap())
    };
    let spilled = DiskSpec {
        size_bytes: 1 << 30,
        persist: false,
        sync: Durable::Second,
    };
    assert_eq!(disk_of("{ full = 'spill' }"), (Some(Full::Spill), spilled));
    let persisted = DiskSpec {
        size_bytes: 2 << 30,
        persist: true,
        sync: Durable::Always,
    };
    assert_eq!(
        disk_of("{ persist = true, disk = '2GiB', sync = 'always' }"),
        (None, persisted)
    );
}

#[test]
fn several_files_are_one() {
    let one = Source::new("/a/one.toml", "[receivers.tcp]\n[service]\ncluster = 'c'");
    let two = Source::new(
        "/b/two.toml",
        "[service]\ndata_dir = 'd'\n[exporters.otlp]\nendpoint = 'http://c:1'\n\
         [pipelines.p]\nreceivers = ['tcp']\nexporters = ['otlp']",
    );
    let spec = load(vec![one, two], &COMPONENTS, &Small).unwrap();
    assert_eq!(spec.service.cluster, "c");
    assert_eq!(spec.service.data_dir, Path::new("/b/d"));
    assert_eq!(spec.pipelines.len(), 1);
}

#[test]
fn an_empty_trace_key_is_none() {
    let spec = read(&with("[service]\ntrace_key = '${env:NONE:-}'")).unwrap();
    assert_eq!(spec.service.trace_key, None);
}
