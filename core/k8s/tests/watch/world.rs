//! A watch of a scripted API server, and objects for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tapetum_k8s::{Clock, Naming, Pace, Pod, Scope, Settings, Snapshot, Source, Watch};
use tapetum_model::UnixNanos;
use tapetum_testkit::ApiServer;

pub(crate) const PODS: &str = "/api/v1/pods";
pub(crate) const NODES: &str = "/api/v1/nodes";
pub(crate) const SERVICES: &str = "/api/v1/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
pub(crate) const REPLICASETS: &str = "/apis/apps/v1/replicasets";

/// Far more than anything here takes, even on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) watch: Watch,
}

pub(crate) fn settings(server: &ApiServer) -> Settings {
    Settings {
        scope: Scope::Cluster,
        node: "node-1".into(),
        naming: Naming::default(),
        source: Source::Url(server.url()),
        pace: Pace {
            first: Duration::from_millis(20),
            most: Duration::from_millis(200),
            publish: Duration::from_millis(5),
            ..Pace::default()
        },
    }
}

pub(crate) fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        UnixNanos(since.unwrap_or_default().as_nanos() as u64)
    })
}

impl World {
    /// A watch of a server that has been prepared.
    pub(crate) fn of(server: ApiServer) -> Self {
        let watch = Watch::start(settings(&server), clock(), 1).expect("it starts");
        Self { server, watch }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.watch.index().snapshot()
    }

    pub(crate) fn pod(&self, n: u32) -> Option<Arc<Pod>> {
        self.snapshot().pod(&uid(n)).cloned()
    }

    /// The workload of a pod: kind and name.
    pub(crate) fn workload(&self, n: u32) -> Option<String> {
        let pod = self.pod(n)?;
        let owner = pod.workload()?;
        Some(format!("{}/{}", owner.kind, owner.name))
    }

    pub(crate) async fn synced(&self) {
        until("everything is read", || self.snapshot().state().synced).await;
    }

    /// Waits until every kind is watched and nothing is behind.
    pub(crate) async fn heard(&self) {
        until("everything is heard", || {
            let state = self.snapshot().state();
            state.synced && state.behind_since.is_none() && self.server.watches() == 4
        })
        .await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn uid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

pub(crate) fn address(n: u32) -> String {
    format!("10.{}.{}.{}", n >> 16, (n >> 8) & 0xff, n & 0xff)
}

pub(crate) fn pod(n: u32) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": format!("pod-{n}"), "namespace": "shop", "uid": uid(n)},
        "spec": {"nodeName": format!("node-{}", n % 2), "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address(n)}]},
    })
}

/// A pod with a controller.
pub(crate) fn owned(n: u32, controller: Value) -> Value {
    let mut pod = pod(n);
    pod["metadata"]["ownerReferences"] = json!([controller]);
    pod
}

pub(crate) fn controller(api_version: &str, kind: &str, name: &str, n: u32) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid(n), "controller": true})
}

/// An object of any kind, below another if there is one.
pub(crate) fn object(kind: &str, name: &str, n: u32, above: Option<Value>) -> Value {
    json!({
        "kind": kind,
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid(n),
            "ownerReferences": above.into_iter().collect::<Vec<_>>(),
        },
    })
}
