//! The one table of what leaves: every attribute and metric name, unit and description.
//!
//! Nothing else spells a name, so a name cannot differ between spans, metrics, the exposition and
//! the documents. Where OpenTelemetry's semantic conventions have a name it is theirs.
//! Long because it is one table.

use std::borrow::Cow;

use tapetum_model::{Attr, Metric};

/// The instrumentation scope of everything that Tapetum says.
pub const SCOPE: &str = "tapetum";
/// `service.name` of the agent's own resource.
pub const AGENT_SERVICE: &str = "tapetum";
/// `service.name` of an end whose name nobody knows: the convention's word, because it is never empty.
pub const UNKNOWN_SERVICE: &str = "unknown_service";
/// The ends, or the port, of a series into which others were folded.
pub const OTHER: &str = "~other";

/// Names of span and scope attributes, but for an entity's.
pub mod span {
    /// See [`tapetum_model::Attr::NetworkTransport`].
    pub const NETWORK_TRANSPORT: &str = "network.transport";
    /// See [`tapetum_model::Attr::ServerPort`].
    pub const SERVER_PORT: &str = "server.port";
    /// See [`tapetum_model::Attr::TcpEndReason`].
    pub const END_REASON: &str = "tcp.end_reason";
    /// See [`tapetum_model::Attr::ErrorType`].
    pub const ERROR_TYPE: &str = "error.type";
    /// `network.transport`'s value of every connection.
    pub const TRANSPORT_TCP: &str = "tcp";
    /// `ipv4` or `ipv6`.
    pub const NETWORK_TYPE: &str = "network.type";
    /// The end that connected.
    pub const CLIENT_ADDRESS: &str = "client.address";
    /// See [`CLIENT_ADDRESS`].
    pub const CLIENT_PORT: &str = "client.port";
    /// The end that accepted; a client's is what it asked for.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// Who really answered.
    pub const PEER_ADDRESS: &str = "network.peer.address";
    /// See [`PEER_ADDRESS`].
    pub const PEER_PORT: &str = "network.peer.port";
    /// The near end's address.
    pub const LOCAL_ADDRESS: &str = "network.local.address";
    /// See [`LOCAL_ADDRESS`].
    pub const LOCAL_PORT: &str = "network.local.port";
    /// The creating process.
    pub const PROCESS_PID: &str = "process.pid";
    /// See [`PROCESS_PID`].
    pub const PROCESS_EXECUTABLE: &str = "process.executable.name";
    /// The server's name on a client's span, for backends that draw graphs of it.
    pub const SERVICE_PEER_NAME: &str = "service.peer.name";
    /// The same under the name that backends read until they know the newer one.
    pub const PEER_SERVICE: &str = "peer.service";
    /// Behind `source` or `destination`: the address was rewritten on the way.
    pub const TRANSLATED: &str = "translated";
    /// Payload sent in the span's period.
    pub const BYTES_SENT: &str = "flow.bytes.sent";
    /// Payload received.
    pub const BYTES_RECEIVED: &str = "flow.bytes.received";
    /// Segments sent.
    pub const PACKETS_SENT: &str = "flow.packets.sent";
    /// Segments received.
    pub const PACKETS_RECEIVED: &str = "flow.packets.received";
    /// Segments sent again.
    pub const RETRANSMITS: &str = "tcp.retransmits";
    /// Payload sent again.
    pub const BYTES_RETRANSMITTED: &str = "tcp.bytes.retransmitted";
    /// Time that the peer's window was the limit, in seconds.
    pub const RWND_LIMITED: &str = "tcp.rwnd_limited";
    /// Time that the send buffer was the limit, in seconds.
    pub const SNDBUF_LIMITED: &str = "tcp.sndbuf_limited";
    /// Behind a counted measure: over the lifetime.
    pub const TOTAL: &str = ".total";
    /// Smoothed round-trip time, in seconds.
    pub const RTT_SMOOTHED: &str = "tcp.rtt.smoothed";
    /// Least round-trip time.
    pub const RTT_MIN: &str = "tcp.rtt.min";
    /// Its mean deviation.
    pub const RTT_VARIANCE: &str = "tcp.rtt.variance";
    /// Duration of the handshake, in seconds.
    pub const HANDSHAKE: &str = "tcp.handshake.duration";
    /// The kernel's reordering estimate.
    pub const REORDERING: &str = "tcp.reordering";
    /// Community ID of the connection, where it is asked for.
    pub const COMMUNITY_ID: &str = "flow.community_id";
    /// Scope: begin of the time that the batch covers.
    pub const WINDOW_START: &str = "tapetum.window.start";
    /// Scope: its end.
    pub const WINDOW_END: &str = "tapetum.window.end";
    /// Scope: records lost on the way, in all.
    pub const WINDOW_LOST: &str = "tapetum.window.lost";
    /// Scope: the same by stage, whose name stands behind it.
    pub const WINDOW_LOST_IN: &str = "tapetum.window.lost.";
}

/// Every metric, in the order of the documents.
pub const METRICS: [Metric; 54] = [
    Metric::FlowBytes,
    Metric::FlowPackets,
    Metric::ConnectionsOpened,
    Metric::ConnectionsClosed,
    Metric::ConnectionsFailed,
    Metric::ConnectionsActive,
    Metric::HandshakeDuration,
    Metric::ConnectionDuration,
    Metric::Rtt,
    Metric::Retransmits,
    Metric::Resets,
    Metric::RecordsIn,
    Metric::RecordsMade,
    Metric::RecordsOut,
    Metric::RecordsLost,
    Metric::RecordsRefused,
    Metric::RecordsFiltered,
    Metric::RecordsAbsorbed,
    Metric::QueueBytes,
    Metric::QueueRecords,
    Metric::QueueCapacity,
    Metric::QueueDiskBytes,
    Metric::QueueDiskCapacity,
    Metric::QueueDiskSegments,
    Metric::QueueDiskDamaged,
    Metric::QueueDiskDegraded,
    Metric::QueueDiskRecovered,
    Metric::ExportRequests,
    Metric::ReceiveRequests,
    Metric::ReceiveConnections,
    Metric::ReceiveTurnedAway,
    Metric::ComponentRestarts,
    Metric::Reloads,
    Metric::ReloadFailed,
    Metric::MemoryPressure,
    Metric::ProbeRuns,
    Metric::ProbeRunTime,
    Metric::ConnectionsTracked,
    Metric::SweepDuration,
    Metric::WindowEnd,
    Metric::AggregateSeries,
    Metric::AggregateFolded,
    Metric::K8sUnnamed,
    Metric::K8sObjects,
    Metric::K8sChanges,
    Metric::K8sRequests,
    Metric::K8sReceived,
    Metric::K8sLists,
    Metric::K8sRestarts,
    Metric::K8sUnreadable,
    Metric::K8sUnresolved,
    Metric::K8sBehind,
    Metric::ProcessMemory,
    Metric::BuildInfo,
];

/// How a metric is called and counted outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricName {
    /// Its OpenTelemetry name.
    pub name: &'static str,
    /// Its unit, in UCUM.
    pub unit: &'static str,
    /// Its name in Prometheus.
    pub prometheus: &'static str,
    /// What it means.
    pub description: &'static str,
    /// How many of the model's units make one of `unit`: times are whole nanoseconds inside and
    /// seconds outside. Histograms hold `unit` already.
    pub per_unit: u32,
}

/// An attribute's name in two parts, the first empty or `source.` or `destination.`: for writers
/// that must not allocate.
#[must_use]
pub fn parts(attr: &Attr) -> (&'static str, &str) {
    match attr {
        Attr::Source(of) => ("source.", parts(of).1),
        Attr::Destination(of) => ("destination.", parts(of).1),
        plain => ("", of_plain(plain)),
    }
}

/// An attribute's whole name.
#[must_use]
pub fn attribute(attr: &Attr) -> Cow<'_, str> {
    match parts(attr) {
        ("", name) => Cow::Borrowed(name),
        (end, name) => Cow::Owned([end, name].concat()),
    }
}

/// The attribute of an entity that has this name; a name that is in no table is a label's or an annotation's.
#[must_use]
pub fn of_entity(name: &str) -> Attr {
    let known = ENTITY.iter().find(|attr| of_plain(attr) == name);
    known.cloned().unwrap_or_else(|| Attr::Custom(name.into()))
}

/// What an entity can say of itself.
const ENTITY: [Attr; 22] = [
    Attr::ServiceName,
    Attr::ServiceNamespace,
    Attr::ServiceInstanceId,
    Attr::ServiceVersion,
    Attr::K8sNamespaceName,
    Attr::K8sPodName,
    Attr::K8sPodUid,
    Attr::K8sContainerName,
    Attr::K8sNodeName,
    Attr::K8sDeploymentName,
    Attr::K8sStatefulSetName,
    Attr::K8sDaemonSetName,
    Attr::K8sJobName,
    Attr::K8sCronJobName,
    Attr::K8sReplicaSetName,
    Attr::K8sClusterName,
    Attr::K8sClusterUid,
    Attr::K8sWorkloadName,
    Attr::K8sWorkloadKind,
    Attr::Zone,
    Attr::ContainerId,
    Attr::HostName,
];

/// Whether the near end of a span says it as an attribute of the resource.
#[must_use]
pub fn of_resource(attr: &Attr) -> bool {
    matches!(
        attr,
        Attr::ServiceName
            | Attr::ServiceNamespace
            | Attr::ServiceInstanceId
            | Attr::ServiceVersion
            | Attr::K8sNamespaceName
            | Attr::K8sPodName
            | Attr::K8sPodUid
            | Attr::K8sContainerName
            | Attr::K8sNodeName
            | Attr::K8sDeploymentName
            | Attr::K8sStatefulSetName
            | Attr::K8sDaemonSetName
            | Attr::K8sJobName
            | Attr::K8sCronJobName
            | Attr::K8sReplicaSetName
            | Attr::K8sClusterName
            | Attr::K8sClusterUid
            | Attr::ContainerId
            | Attr::HostName
            | Attr::Custom(_)
    )
}

/// Whether the far end of a span says it, behind `source.` or `destination.`.
#[must_use]
pub fn of_far_end(attr: &Attr) -> bool {
    matches!(
        attr,
        Attr::ServiceName
            | Attr::K8sNamespaceName
            | Attr::K8sPodName
            | Attr::K8sContainerName
            | Attr::K8sNodeName
            | Attr::K8sWorkloadName
            | Attr::K8sWorkloadKind
            | Attr::Zone
    )
}

fn of_plain(attr: &Attr) -> &str {
    use Attr as A;
    match attr {
        A::ServiceName => "service.name",
        A::ServiceNamespace => "service.namespace",
        A::ServiceInstanceId => "service.instance.id",
        A::ServiceVersion => "service.version",
        A::K8sNamespaceName => "k8s.namespace.name",
        A::K8sPodName => "k8s.pod.name",
        A::K8sPodUid => "k8s.pod.uid",
        A::K8sContainerName => "k8s.container.name",
        A::K8sNodeName => "k8s.node.name",
        A::K8sDeploymentName => "k8s.deployment.name",
        A::K8sStatefulSetName => "k8s.statefulset.name",
        A::K8sDaemonSetName => "k8s.daemonset.name",
        A::K8sJobName => "k8s.job.name",
        A::K8sCronJobName => "k8s.cronjob.name",
        A::K8sReplicaSetName => "k8s.replicaset.name",
        A::K8sClusterName => "k8s.cluster.name",
        A::K8sClusterUid => "k8s.cluster.uid",
        A::K8sWorkloadName => "k8s.workload.name",
        A::K8sWorkloadKind => "k8s.workload.kind",
        A::Zone => "zone",
        A::ContainerId => "container.id",
        A::HostName => "host.name",
        A::Custom(name) => name,
        A::Source(of) | A::Destination(of) => of_plain(of),
        A::K8sServiceName => "k8s.service.name",
        A::NetworkTransport => span::NETWORK_TRANSPORT,
        A::NetworkIoDirection => "network.io.direction",
        A::ServerPort => span::SERVER_PORT,
        A::TcpEndReason => span::END_REASON,
        A::TcpResetOrigin => "tcp.reset.origin",
        A::ErrorType => span::ERROR_TYPE,
        A::Component => "component",
        A::Pipeline => "pipeline",
        A::Stage => "stage",
        A::Reason => "reason",
        A::Resource => "resource",
        A::Probe => "probe",
        A::Program => "program",
    }
}

/// How a metric is called and counted outside.
#[must_use]
#[rustfmt::skip] // a table: one metric, two lines
#[expect(clippy::too_many_lines, reason = "a table: one metric, two lines")]
pub fn metric(metric: Metric) -> MetricName {
    use Metric as M;
    let (name, unit, prometheus, description) = match metric {
        M::FlowBytes => ("network.flow.bytes", "By", "network_flow_bytes_total",
            "Payload that an end sent, as the end of `network.io.direction` saw it."),
        M::FlowPackets => ("network.flow.packets", "{packet}", "network_flow_packets_total",
            "Segments that an end sent, as the end of `network.io.direction` saw it."),
        M::ConnectionsOpened => ("tcp.connections.opened", "{connection}", "tcp_connections_opened_total",
            "Connections that were established while the agent watched."),
        M::ConnectionsClosed => ("tcp.connections.closed", "{connection}", "tcp_connections_closed_total",
            "Connections that ended, by reason."),
        M::ConnectionsFailed => ("tcp.connections.failed", "{connection}", "tcp_connections_failed_total",
            "Connections that ended before they were established, by error."),
        M::ConnectionsActive => ("tcp.connections.active", "{connection}", "tcp_connections_active",
            "Connections that are established now."),
        M::HandshakeDuration => ("tcp.handshake.duration", "s", "tcp_handshake_duration_seconds",
            "Time from a client's SYN to its established connection; at a server the first round trip."),
        M::ConnectionDuration => ("tcp.connection.duration", "s", "tcp_connection_duration_seconds",
            "Time from the birth of a connection to its end."),
        M::Rtt => ("tcp.rtt", "s", "tcp_rtt_seconds",
            "Smoothed round-trip time: one value a connection and sweep in which bytes moved, and one at its end."),
        M::Retransmits => ("tcp.retransmits", "{packet}", "tcp_retransmits_total",
            "Segments that were sent again."),
        M::Resets => ("tcp.resets", "{event}", "tcp_resets_total",
            "Connections that were reset, by who did it, seen from the end that reports."),
        M::RecordsIn => ("tapetum.records.in", "{record}", "tapetum_records_in_total",
            "Records that a component took in."),
        M::RecordsMade => ("tapetum.records.made", "{record}", "tapetum_records_made_total",
            "Records that a processor made itself: metric points of records."),
        M::RecordsOut => ("tapetum.records.out", "{record}", "tapetum_records_out_total",
            "Records that a component passed on or delivered."),
        M::RecordsLost => ("tapetum.records.lost", "{record}", "tapetum_records_lost_total",
            "Records that were lost, by stage and reason."),
        M::RecordsRefused => ("tapetum.records.refused", "{record}", "tapetum_records_refused_total",
            "Records that were not taken; a sender that can wait comes back with them."),
        M::RecordsFiltered => ("tapetum.records.filtered", "{record}", "tapetum_records_filtered_total",
            "Records that were left out on purpose."),
        M::RecordsAbsorbed => ("tapetum.records.absorbed", "{record}", "tapetum_records_absorbed_total",
            "Records that live on in metric points."),
        M::QueueBytes => ("tapetum.queue.bytes", "By", "tapetum_queue_bytes",
            "Bytes that wait in an exporter's queue."),
        M::QueueRecords => ("tapetum.queue.records", "{record}", "tapetum_queue_records",
            "Records that an exporter's queue or a processor holds."),
        M::QueueCapacity => ("tapetum.queue.capacity", "By", "tapetum_queue_capacity_bytes",
            "Bytes that an exporter's queue can hold."),
        M::QueueDiskBytes => ("tapetum.queue.disk.bytes", "By", "tapetum_queue_disk_bytes",
            "Bytes of the segment files of an exporter's queue."),
        M::QueueDiskCapacity => ("tapetum.queue.disk.capacity", "By", "tapetum_queue_disk_capacity_bytes",
            "Bytes that the segment files of an exporter's queue may have."),
        M::QueueDiskSegments => ("tapetum.queue.disk.segments", "{file}", "tapetum_queue_disk_segments",
            "Segment files of an exporter's queue."),
        M::QueueDiskDamaged => ("tapetum.queue.disk.damaged", "By", "tapetum_queue_disk_damaged_bytes_total",
            "Bytes of segment files that were left out because they are torn or damaged."),
        M::QueueDiskDegraded => ("tapetum.queue.disk.degraded", "1", "tapetum_queue_disk_degraded",
            "1 while the disk cannot be used and an exporter's queue works in memory."),
        M::QueueDiskRecovered => ("tapetum.queue.disk.recovered", "{record}", "tapetum_queue_disk_recovered_total",
            "Records that an exporter's queue found on disk at a start: they count as taken in."),
        M::ExportRequests => ("tapetum.export.requests", "{request}", "tapetum_export_requests_total",
            "Requests to a backend, by what became of them."),
        M::ReceiveRequests => ("tapetum.receive.requests", "{request}", "tapetum_receive_requests_total",
            "Requests of senders, by what became of them."),
        M::ReceiveConnections => ("tapetum.receive.connections", "{connection}", "tapetum_receive_connections",
            "Connections of senders that are open now."),
        M::ReceiveTurnedAway => ("tapetum.receive.turned_away", "{connection}", "tapetum_receive_turned_away_total",
            "Connections of senders that were not served, by reason."),
        M::ComponentRestarts => ("tapetum.component.restarts", "{restart}", "tapetum_component_restarts_total",
            "Tasks of a component that were started again after they had failed."),
        M::Reloads => ("tapetum.reloads", "{reload}", "tapetum_reloads_total",
            "How often the file was read again, by what became of it."),
        M::ReloadFailed => ("tapetum.reload.failed", "1", "tapetum_reload_failed",
            "1 while the file is not what runs because it was not taken."),
        M::MemoryPressure => ("tapetum.memory.pressure", "1", "tapetum_memory_pressure",
            "How short memory is: 0 it suffices, 1 above the soft limit, 2 above the hard one."),
        M::ProbeRuns => ("tapetum.probe.runs", "{run}", "tapetum_probe_runs_total",
            "Runs of a kernel program."),
        M::ProbeRunTime => ("tapetum.probe.run_time", "s", "tapetum_probe_run_time_seconds_total",
            "Time that a kernel program ran."),
        M::ConnectionsTracked => ("tapetum.connections.tracked", "{connection}", "tapetum_connections_tracked",
            "Connections that are watched now."),
        M::SweepDuration => ("tapetum.sweep.duration", "s", "tapetum_sweep_duration_seconds",
            "How long the last sweep took."),
        M::WindowEnd => ("tapetum.window.end", "s", "tapetum_window_end_seconds",
            "Unix time up to which the data is complete."),
        M::AggregateSeries => ("tapetum.aggregate.series", "{series}", "tapetum_aggregate_series",
            "Series that live now."),
        M::AggregateFolded => ("tapetum.aggregate.folded", "{record}", "tapetum_aggregate_folded_total",
            "Additions that went to a series of other ends, because the budget of series was used up."),
        M::K8sUnnamed => ("tapetum.k8s.unnamed", "{record}", "tapetum_k8s_unnamed_total",
            "Records that left with an end in the cluster whose name was not known in time."),
        M::K8sObjects => ("tapetum.k8s.objects", "{object}", "tapetum_k8s_objects",
            "Objects of the cluster that are known, by resource; pods also for three minutes after their end."),
        M::K8sChanges => ("tapetum.k8s.changes", "{change}", "tapetum_k8s_changes_total",
            "Changes of objects that the API server told of."),
        M::K8sRequests => ("tapetum.k8s.requests", "{request}", "tapetum_k8s_requests_total",
            "Requests to the API server, by what became of them."),
        M::K8sReceived => ("tapetum.k8s.received", "By", "tapetum_k8s_received_bytes_total",
            "Bytes that the API server sent."),
        M::K8sLists => ("tapetum.k8s.lists", "{list}", "tapetum_k8s_lists_total",
            "Whole lists that were asked for: more than one a resource where a watch could not go on."),
        M::K8sRestarts => ("tapetum.k8s.restarts", "{restart}", "tapetum_k8s_restarts_total",
            "Watches that ended and were begun again."),
        M::K8sUnreadable => ("tapetum.k8s.unreadable", "{object}", "tapetum_k8s_unreadable_total",
            "Objects that could not be read: what they are has no name."),
        M::K8sUnresolved => ("tapetum.k8s.unresolved", "{pod}", "tapetum_k8s_unresolved_total",
            "Pods named by a lower controller, because the API server did not say the next one in time."),
        M::K8sBehind => ("tapetum.k8s.behind", "s", "tapetum_k8s_behind_seconds",
            "For how long the API server has not been heard; 0 while it is."),
        M::ProcessMemory => ("tapetum.process.memory", "By", "tapetum_process_memory_bytes",
            "Memory of the process that is its own."),
        M::BuildInfo => ("tapetum.build.info", "", "tapetum_build_info",
            "1, with the version as an attribute."),
    };
    let nanoseconds = matches!(
        metric,
        M::ProbeRunTime | M::SweepDuration | M::WindowEnd | M::K8sBehind
    );
    let per_unit = if nanoseconds { 1_000_000_000 } else { 1 };
    MetricName { name, unit, prometheus, description, per_unit }
}

#[cfg(test)]
mod tests {
    use tapetum_model::Instrument;

    use super::*;

    #[test]
    fn a_name_stands_behind_its_end() {
        let far = Attr::Source(Box::new(Attr::K8sNamespaceName));
        assert_eq!(attribute(&far), "source.k8s.namespace.name");
        assert_eq!(attribute(&Attr::Zone), "zone");
        assert_eq!(parts(&Attr::Custom("team".into())), ("", "team"));
    }

    #[test]
    fn an_end_says_what_belongs_there() {
        assert!(of_resource(&Attr::ServiceName) && of_far_end(&Attr::ServiceName));
        assert!(of_resource(&Attr::K8sPodUid) && !of_far_end(&Attr::K8sPodUid));
        assert!(!of_resource(&Attr::K8sWorkloadKind) && of_far_end(&Attr::K8sWorkloadKind));
        assert!(!of_resource(&Attr::Zone) && of_far_end(&Attr::Zone));
        assert!(of_resource(&Attr::Custom("team".into())));
        assert!(!of_resource(&Attr::ServerPort) && !of_far_end(&Attr::ServerPort));
    }

    #[test]
    fn prometheus_names_follow_from_the_others() {
        let all = (Metric::FlowBytes as u8..=Metric::BuildInfo as u8).count();
        assert_eq!(METRICS.len(), all);
        for of in METRICS {
            let known = metric(of);
            let mut expected = known.name.replace('.', "_");
            let unit = match known.unit {
                "s" => "_seconds",
                "By" => "_bytes",
                _ => "",
            };
            if !expected.ends_with(unit) {
                expected += unit;
            }
            if of.instrument() == Instrument::Counter {
                expected += "_total";
            }
            assert_eq!(known.prometheus, expected);
            assert!(known.description.ends_with('.'));
        }
    }
}
