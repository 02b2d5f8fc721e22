//! The options of `k8s`, with the reason for each default.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings};

use super::locals::LOCALS_MAX;
use super::networks::NETWORKS_MAX;
use super::waiting;
use crate::cidr::Cidr;

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) node: String,
    pub(super) scope: Scope,
    #[serde(default = "wait")]
    pub(super) wait: Duration,
    #[serde(default)]
    pub(super) name_labels: bool,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) networks: BTreeMap<String, String>,
}

/// Which ends are named here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// Both.
    #[default]
    Cluster,
    /// Those of this node; a gateway names the others.
    Node,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "node",
        kind: OptKind::Text,
        default: Some("\"\""),
        optional: false,
        help: "name of this node; the ends that live on it carry it, and the agent itself",
        why: "only the deployment knows it: in a pod it is `${env:NODE_NAME:-}`",
    },
    Opt {
        key: "scope",
        kind: OptKind::Choice(&["cluster", "node"]),
        default: Some("\"cluster\""),
        optional: false,
        help: "`cluster`: name both ends here; `node`: far ends are named by a gateway",
        why: "needs no gateway",
    },
    Opt {
        key: "wait",
        kind: OptKind::Duration,
        default: Some("\"5s\""),
        optional: false,
        help: "how long a record waits for the name of an end that the API server has not told yet, once an end; `0s`: not at all",
        why: "a kubelet reports a new container within 2 s and a busy one within 4; nothing that leaves is in a hurry",
    },
    Opt {
        key: "name_labels",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "whether `service.name` may come from the labels `app.kubernetes.io/instance` and `app.kubernetes.io/name`",
        why: "charts give one instance to several workloads, which would then be one service",
    },
    Opt {
        key: "labels",
        kind: OptKind::Map(&OptKind::Text),
        default: Some("{}"),
        optional: false,
        help: "labels of pods that become attributes of their resource: `\"app.kubernetes.io/part-of\" = \"team\"`",
        why: "nobody can guess which ones matter, and each one costs bytes in every resource",
    },
    Opt {
        key: "annotations",
        kind: OptKind::Map(&OptKind::Text),
        default: Some("{}"),
        optional: false,
        help: "the same of annotations",
        why: "as for labels",
    },
    Opt {
        key: "networks",
        kind: OptKind::Map(&OptKind::Text),
        default: Some("{}"),
        optional: false,
        help: "names of networks that nothing else names: `\"203.0.113.0/24\" = \"payments-provider\"`",
        why: "what is outside is `external` until somebody says what it is",
    },
];

/// Longer would only be a second place where records are lost if the agent is.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(60);

fn wait() -> Duration {
    Duration(std::time::Duration::from_secs(5))
}

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if config.wait.0 > WAIT_MAX {
        problems.push(Problem::at("wait", "must not be longer than 60s"));
    }
    for (key, chosen) in [
        ("labels", &config.labels),
        ("annotations", &config.annotations),
    ] {
        for (from, to) in chosen {
            if to.is_empty() {
                problems.push(Problem {
                    path: vec![key.to_owned(), from.clone()],
                    message: format!("`{from}` has no name for its attribute"),
                    hint: None,
                });
            }
        }
    }
    if config.networks.len() > NETWORKS_MAX {
        problems.push(Problem::at(
            "networks",
            format!("has more than {NETWORKS_MAX} networks"),
        ));
    }
    for (cidr, name) in &config.networks {
        let message = match Cidr::parse(cidr) {
            Err(why) => why.to_string(),
            Ok(_) if name.is_empty() => format!("`{cidr}` has an empty name"),
            Ok(_) => continue,
        };
        problems.push(Problem {
            path: vec!["networks".to_owned(), cidr.clone()],
            message,
            hint: Some("write for example \"203.0.113.0/24\" = \"payments-provider\"".to_owned()),
        });
    }
    problems
}

/// The index of a cluster of 10 000 pods and 2 000 Services: 2 KB a pod. There is one a process, and all of
/// it is counted for each pipeline: the second time stands for what changes while a snapshot is read.
const CLUSTER_BYTES: u64 = 20 << 20;
/// That of a node with its pods.
const NODE_BYTES: u64 = 1 << 20;
const LOCAL_BYTES: u64 = 1_536;
const NETWORK_BYTES: u64 = 256;

pub(super) fn bound(settings: &Settings) -> Bound {
    let Ok(config) = settings.read::<Config>() else {
        return Bound::default();
    };
    let index = match config.scope {
        Scope::Cluster => CLUSTER_BYTES,
        Scope::Node => NODE_BYTES,
    };
    let locals = LOCALS_MAX as u64 * LOCAL_BYTES;
    let networks = config.networks.len() as u64 * NETWORK_BYTES;
    Bound {
        user_bytes: index + locals + waiting::BOUND_BYTES + networks,
        kernel_bytes: 0,
    }
}
