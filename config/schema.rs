//! The tables of the file that are the engine's own, described like any component's options: help,
//! documents and checks come from here.

use tapetum_pipeline::{Build, Component, Opt, OptKind};

/// `[service]`
pub static SERVICE: &[Opt] = &[
    Opt {
        key: "cluster",
        kind: OptKind::Text,
        default: Some("\"\""),
        optional: false,
        help: "the name of the cluster: `k8s.cluster.name` of all that leaves",
        why: "a host outside Kubernetes has none",
    },
    Opt {
        key: "data_dir",
        kind: OptKind::Path,
        default: Some("\"/var/lib/tapetum\""),
        optional: false,
        help: "where queues and state live",
        why: "where the system keeps the state of its services",
    },
    Opt {
        key: "admin",
        kind: OptKind::Listen,
        default: Some("\"127.0.0.1:9465\""),
        optional: false,
        help: "where /healthz, /readyz and /metrics are",
        why: "loopback: whoever wants it outside says so",
    },
    Opt {
        key: "memory",
        kind: OptKind::Size,
        default: Some("\"256MiB\""),
        optional: false,
        help: "the budget of the process and of what the kernel charges to it; less where the cgroup allows less",
        why: "room for 65536 connections, a queue and an aggregate, with a margin",
    },
    Opt {
        key: "drain",
        kind: OptKind::Duration,
        default: Some("\"10s\""),
        optional: false,
        help: "how long a stop may take",
        why: "well below the 30s after which Kubernetes kills",
    },
    Opt {
        key: "trace_key",
        kind: OptKind::Secret,
        default: None,
        optional: true,
        help: "the key of trace ids: one a fleet; empty is as if it were left out",
        why: "without it a public key serves: both ends then still agree, but others can compute the ids too",
    },
];

/// `[pipelines.NAME]`
pub static PIPELINE: &[Opt] = &[
    Opt {
        key: "receivers",
        kind: OptKind::List(&OptKind::Text),
        default: None,
        optional: false,
        help: "where its batches come from",
        why: "",
    },
    Opt {
        key: "processors",
        kind: OptKind::List(&OptKind::Text),
        default: Some("[]"),
        optional: false,
        help: "what changes them, in this order",
        why: "a pipeline may send what it gets",
    },
    Opt {
        key: "exporters",
        kind: OptKind::List(&OptKind::Text),
        default: None,
        optional: false,
        help: "where they go",
        why: "",
    },
];

/// What the table of a component has besides its own options.
#[must_use]
pub fn besides(component: &Component) -> &'static [Opt] {
    match component.build {
        Build::Exporter(_) => EXPORTER,
        Build::Receiver(_) | Build::Processor(_) | Build::Asked(_) => &[],
    }
}

/// The keys that every exporter has that is sent to.
pub static EXPORTER: &[Opt] = &[
    Opt {
        key: "queue",
        kind: OptKind::Table(QUEUE),
        default: Some("{}"),
        optional: false,
        help: "what waits to be sent",
        why: "a slow backend must not slow its neighbours",
    },
    Opt {
        key: "retry",
        kind: OptKind::Table(RETRY),
        default: Some("{}"),
        optional: false,
        help: "what happens to what a backend does not take now",
        why: "a backend that restarts should cost nothing",
    },
];

pub(crate) static QUEUE: &[Opt] = &[
    Opt {
        key: "size",
        kind: OptKind::Size,
        default: Some("\"16MiB\""),
        optional: false,
        help: "its bound in memory, in bytes of encoded messages",
        why: "minutes of a busy node, a sixteenth of the memory budget",
    },
    Opt {
        key: "full",
        kind: OptKind::Choice(&["refuse", "drop_oldest", "drop_newest", "block", "spill"]),
        default: None,
        optional: true,
        help: "what happens to what does not fit; `block` only where a pipeline has one exporter; `spill`: it goes to disk",
        why: "without it the origin decides: refused to a sender that can wait, the oldest dropped of the kernel's",
    },
    Opt {
        key: "persist",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "whether everything goes through the disk before it is acknowledged, so that not even a kill loses it",
        why: "a node's agent should not need a disk",
    },
    Opt {
        key: "disk",
        kind: OptKind::Size,
        default: Some("\"1GiB\""),
        optional: false,
        help: "its bound on disk, in `service.data_dir`; only with `persist` or `full = \"spill\"`",
        why: "hours of a node, minutes of a busy gateway",
    },
    Opt {
        key: "sync",
        kind: OptKind::Choice(&["never", "second", "always"]),
        default: Some("\"second\""),
        optional: false,
        help: "when what was written is made to outlive a power cut: when the kernel likes, once a second, before it is acknowledged",
        why: "a kill loses nothing anyway; a power cut then costs a second, and the disk little",
    },
];

pub(crate) static RETRY: &[Opt] = &[
    Opt {
        key: "first",
        kind: OptKind::Duration,
        default: Some("\"1s\""),
        optional: false,
        help: "the first wait; each one up to twice the last, with full jitter",
        why: "a restart of a backend takes seconds",
    },
    Opt {
        key: "most",
        kind: OptKind::Duration,
        default: Some("\"30s\""),
        optional: false,
        help: "the longest wait",
        why: "a backend that comes back is found within half a minute",
    },
    Opt {
        key: "give_up",
        kind: OptKind::Duration,
        default: Some("\"15m\""),
        optional: false,
        help: "after this long a message is dropped and counted",
        why: "older than that it is in nobody's view; newer ones need the room",
    },
];
