//! The options of `k8s`, with the reason for each default.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapetum_pipeline::{Bound, Opt, OptKind, Problem, Settings};

use super::networks::{Cidr, NETWORKS_MAX};
use super::place::PLACED_MAX;

/// What a file may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) node: String,
    pub(super) scope: Scope,
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
        key: "networks",
        kind: OptKind::Map(&OptKind::Text),
        default: Some("{}"),
        optional: false,
        help: "names of networks that nothing else names: `\"203.0.113.0/24\" = \"payments-provider\"`",
        why: "what is outside is `external` until somebody says what it is",
    },
];

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
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

const PLACED_BYTES: u64 = 1_536;
const NETWORK_BYTES: u64 = 256;

pub(super) fn bound(settings: &Settings) -> Bound {
    let networks = settings
        .read::<Config>()
        .map_or(0, |config| config.networks.len() as u64);
    Bound {
        user_bytes: PLACED_MAX as u64 * PLACED_BYTES + networks * NETWORK_BYTES,
        kernel_bytes: 0,
    }
}
