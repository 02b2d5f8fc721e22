//! Every attribute that can leave, as an identifier: its spelling is in `core/otlp` and nowhere
//! else, so a name cannot be misspelt twice or drift between spans and metrics.

use std::sync::Arc;

/// An attribute of an entity, a span or a metric point.
///
/// The order is the order of the attributes in what is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attr {
    // Of an entity. The encoder decides which of them an end carries as a resource and which as
    // `source.…` or `destination.…`.
    /// `service.name`
    ServiceName,
    /// `service.namespace`
    ServiceNamespace,
    /// `service.instance.id`
    ServiceInstanceId,
    /// `service.version`
    ServiceVersion,
    /// `k8s.namespace.name`
    K8sNamespaceName,
    /// `k8s.pod.name`
    K8sPodName,
    /// `k8s.pod.uid`
    K8sPodUid,
    /// `k8s.container.name`
    K8sContainerName,
    /// `k8s.node.name`
    K8sNodeName,
    /// `k8s.deployment.name`
    K8sDeploymentName,
    /// `k8s.statefulset.name`
    K8sStatefulSetName,
    /// `k8s.daemonset.name`
    K8sDaemonSetName,
    /// `k8s.job.name`
    K8sJobName,
    /// `k8s.cronjob.name`
    K8sCronJobName,
    /// `k8s.replicaset.name`
    K8sReplicaSetName,
    /// `k8s.cluster.name`
    K8sClusterName,
    /// `k8s.cluster.uid`
    K8sClusterUid,
    /// `k8s.workload.name`: of a far end and of metrics, whatever the kind
    K8sWorkloadName,
    /// `k8s.workload.kind`
    K8sWorkloadKind,
    /// `zone`
    Zone,
    /// `container.id`
    ContainerId,
    /// `host.name`
    HostName,
    /// A label or annotation that the file asked for, under the name that it gets.
    Custom(Arc<str>),

    // Of metric points: the ends, in the roles that they have there.
    /// `source.` in front of an entity's attribute
    Source(Box<Attr>),
    /// `destination.` in front of an entity's attribute
    Destination(Box<Attr>),
    /// `k8s.service.name`: the Service that was asked for
    K8sServiceName,

    // Of records: dimensions.
    /// `network.transport`
    NetworkTransport,
    /// `network.io.direction`
    NetworkIoDirection,
    /// `server.port`
    ServerPort,
    /// `tcp.end_reason`
    TcpEndReason,
    /// `tcp.reset.origin`
    TcpResetOrigin,
    /// `error.type`
    ErrorType,

    // Of Tapetum's own telemetry.
    /// `component`: the instance, as the file names it
    Component,
    /// `pipeline`
    Pipeline,
    /// `stage`: where on the way
    Stage,
    /// `reason`
    Reason,
    /// `resource`: a kind of Kubernetes' objects
    Resource,
    /// `probe`
    Probe,
    /// `program`
    Program,
}

/// The value of an attribute. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// One of a closed list.
    Static(&'static str),
    /// A name that was learnt.
    Text(Arc<str>),
    /// A number, for example a port.
    Int(i64),
}
