//! The cluster that is near, if one is: whether to watch it, and what the watch is told.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Once};

use tapetum_k8s::{Index, Naming, Pace, Settings, Source, Watch};
use tapetum_model::UnixNanos;
use tapetum_pipeline::{BuildError, Context, Health};

use super::config::{Config, Scope};
use super::telemetry::Told;

/// What tells that a cluster is near: the kubelet sets the first in every pod, a person the second.
const HINTS: [&str; 2] = ["KUBERNETES_SERVICE_HOST", "KUBECONFIG"];

/// A watch of the cluster, of which there is one a process.
pub(super) struct Cluster {
    watch: Arc<Watch>,
    health: Health,
    trouble: Option<String>,
    told: Told,
}

impl Cluster {
    /// Watches the cluster that is near; `None` if none is.
    pub(super) fn near(config: &Config, context: &Context) -> Result<Option<Self>, BuildError> {
        let near = is_near(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        // Every pipeline has its own instance; a process says it once.
        static SAID: Once = Once::new();
        SAID.call_once(|| say(near, config));
        // Said from the start, also where there is no cluster: a counter that is first seen when it has grown
        // has hidden its first growth.
        let told = Told::new(&context.telemetry.of(&context.instance));
        if !near {
            return Ok(None);
        }
        let clock = Arc::clone(&context.clock);
        let settings = settings(config, &context.service.cluster);
        let clock = Arc::new(move || clock.now().unix);
        // Of many agents that start at once no two try again at the same moments.
        let seed = RandomState::new().hash_one(&context.instance);
        let watch = Watch::shared(&settings, clock, seed)
            .map_err(|why| BuildError::new(why.to_string()))?;
        Ok(Some(Self {
            watch,
            health: context.health.clone(),
            trouble: None,
            told,
        }))
    }

    pub(super) fn index(&self) -> Index {
        self.watch.index()
    }

    /// Counts what was done, and says in the text of `/readyz` why names may be missing. Not in its status: a rollout must not stop
    /// because the API server is busy.
    pub(super) fn tell(&mut self, now: UnixNanos) {
        let state = self.watch.index().snapshot().state();
        self.told.tell(self.watch.increments(), state, now);
        let trouble = self.watch.trouble();
        if trouble == self.trouble {
            return;
        }
        let note = trouble
            .as_ref()
            .map(|why| format!("the cluster is not heard: {why}"));
        self.health.note(note);
        self.trouble = trouble;
    }
}

/// What the watch is to do.
pub(super) fn settings(config: &Config, cluster: &str) -> Settings {
    let chosen = |map: &std::collections::BTreeMap<String, String>| {
        let pairs = map.iter();
        pairs
            .map(|(from, to)| (from.as_str().into(), to.as_str().into()))
            .collect()
    };
    Settings {
        scope: match config.scope {
            Scope::Cluster => tapetum_k8s::Scope::Cluster,
            Scope::Node => tapetum_k8s::Scope::Node,
        },
        node: config.node.as_str().into(),
        naming: Naming {
            cluster: cluster.into(),
            name_labels: config.name_labels,
            labels: chosen(&config.labels),
            annotations: chosen(&config.annotations),
        },
        source: Source::Inferred,
        pace: Pace::default(),
    }
}

pub(super) fn is_near(is_set: impl Fn(&str) -> bool) -> bool {
    HINTS.iter().any(|name| is_set(name))
}

fn say(near: bool, config: &Config) {
    let scope = match config.scope {
        Scope::Cluster => "cluster",
        Scope::Node => "node",
    };
    let node = config.node.as_str();
    if near {
        tracing::info!(scope, node, "the cluster that is near is asked who is who");
        return;
    }
    tracing::info!(
        scope,
        node,
        "no cluster is near ({} are not set): ends keep the names that this host gives",
        HINTS.join(" and ")
    );
}
