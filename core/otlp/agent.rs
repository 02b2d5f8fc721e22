//! The agent's own resource: the one writer of its metrics, in OTLP and in `target_info`.

use std::sync::Arc;

use tapetum_model::Attr;

use crate::names;

/// Who sends: what is the same for everything that leaves a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// `k8s.cluster.name`; empty if not given.
    pub cluster: Arc<str>,
    /// `k8s.node.name`; empty if not known.
    pub node: Arc<str>,
    /// `host.name`; empty if not known.
    pub host: Arc<str>,
    /// `service.instance.id`: no other agent has it, and a restart keeps it.
    pub instance: Arc<str>,
    /// Version of the program.
    pub version: Arc<str>,
}

impl Agent {
    /// The attributes of its resource.
    #[must_use]
    pub fn attributes(&self) -> Vec<(Attr, Arc<str>)> {
        let all = [
            (Attr::ServiceName, Arc::from(names::AGENT_SERVICE)),
            (Attr::ServiceInstanceId, Arc::clone(&self.instance)),
            (Attr::ServiceVersion, Arc::clone(&self.version)),
            (Attr::K8sNodeName, Arc::clone(&self.node)),
            (Attr::K8sClusterName, Arc::clone(&self.cluster)),
            (Attr::HostName, Arc::clone(&self.host)),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}
