//! Every metric that can leave, as an identifier: names and units are in `core/otlp`.

/// What an instrument's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// Only grows.
    Counter,
    /// Grows and shrinks; summing over series is right.
    UpDownCounter,
    /// A value of now; summing is not right.
    Gauge,
    /// A distribution, as an exponential histogram.
    Histogram,
}

/// A metric of the network or of Tapetum itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// `network.flow.bytes`
    FlowBytes,
    /// `network.flow.packets`
    FlowPackets,
    /// `tcp.connections.opened`
    ConnectionsOpened,
    /// `tcp.connections.closed`
    ConnectionsClosed,
    /// `tcp.connections.failed`
    ConnectionsFailed,
    /// `tcp.connections.active`
    ConnectionsActive,
    /// `tcp.handshake.duration`
    HandshakeDuration,
    /// `tcp.connection.duration`
    ConnectionDuration,
    /// `tcp.rtt`
    Rtt,
    /// `tcp.retransmits`
    Retransmits,
    /// `tcp.resets`
    Resets,

    /// `tapetum.records.in`
    RecordsIn,
    /// `tapetum.records.made`: what a component made itself, beyond what came in
    RecordsMade,
    /// `tapetum.records.out`
    RecordsOut,
    /// `tapetum.records.lost`
    RecordsLost,
    /// `tapetum.records.refused`: not taken; a sender that can wait comes back with them
    RecordsRefused,
    /// `tapetum.records.filtered`
    RecordsFiltered,
    /// `tapetum.records.absorbed`
    RecordsAbsorbed,
    /// `tapetum.queue.bytes`
    QueueBytes,
    /// `tapetum.queue.records`
    QueueRecords,
    /// `tapetum.queue.capacity`
    QueueCapacity,
    /// `tapetum.queue.disk.bytes`
    QueueDiskBytes,
    /// `tapetum.queue.disk.capacity`
    QueueDiskCapacity,
    /// `tapetum.queue.disk.segments`
    QueueDiskSegments,
    /// `tapetum.queue.disk.damaged`
    QueueDiskDamaged,
    /// `tapetum.queue.disk.degraded`
    QueueDiskDegraded,
    /// `tapetum.queue.disk.recovered`
    QueueDiskRecovered,
    /// `tapetum.export.requests`
    ExportRequests,
    /// `tapetum.receive.requests`
    ReceiveRequests,
    /// `tapetum.receive.connections`
    ReceiveConnections,
    /// `tapetum.receive.turned_away`
    ReceiveTurnedAway,
    /// `tapetum.component.restarts`
    ComponentRestarts,
    /// `tapetum.reloads`: how often the file was read again, by what became of it
    Reloads,
    /// `tapetum.reload.failed`: 1 while what the file says is not what runs
    ReloadFailed,
    /// `tapetum.memory.pressure`: 0 it suffices, 1 above the soft limit, 2 above the hard one
    MemoryPressure,
    /// `tapetum.probe.runs`
    ProbeRuns,
    /// `tapetum.probe.run_time`, in nanoseconds here
    ProbeRunTime,
    /// `tapetum.connections.tracked`
    ConnectionsTracked,
    /// `tapetum.sweep.duration`, in nanoseconds here
    SweepDuration,
    /// `tapetum.window.end`, in nanoseconds since the Unix epoch here
    WindowEnd,
    /// `tapetum.aggregate.series`
    AggregateSeries,
    /// `tapetum.aggregate.folded`
    AggregateFolded,
    /// `tapetum.k8s.unnamed`
    K8sUnnamed,
    /// `tapetum.k8s.objects`
    K8sObjects,
    /// `tapetum.k8s.changes`
    K8sChanges,
    /// `tapetum.k8s.requests`
    K8sRequests,
    /// `tapetum.k8s.received`
    K8sReceived,
    /// `tapetum.k8s.lists`
    K8sLists,
    /// `tapetum.k8s.restarts`
    K8sRestarts,
    /// `tapetum.k8s.unreadable`
    K8sUnreadable,
    /// `tapetum.k8s.unresolved`
    K8sUnresolved,
    /// `tapetum.k8s.behind`, in nanoseconds here
    K8sBehind,
    /// `tapetum.process.memory`
    ProcessMemory,
    /// `tapetum.build.info`
    BuildInfo,
}

impl Metric {
    /// How its values are to be read.
    #[must_use]
    pub fn instrument(self) -> Instrument {
        use Metric as M;
        match self {
            M::HandshakeDuration | M::ConnectionDuration | M::Rtt => Instrument::Histogram,
            M::ConnectionsActive
            | M::ReceiveConnections
            | M::QueueBytes
            | M::QueueRecords
            | M::QueueDiskBytes
            | M::QueueDiskSegments => Instrument::UpDownCounter,
            M::QueueCapacity
            | M::ReloadFailed
            | M::MemoryPressure
            | M::QueueDiskCapacity
            | M::QueueDiskDegraded
            | M::ConnectionsTracked
            | M::SweepDuration
            | M::WindowEnd
            | M::AggregateSeries
            | M::K8sObjects
            | M::K8sBehind
            | M::ProcessMemory
            | M::BuildInfo => Instrument::Gauge,
            _ => Instrument::Counter,
        }
    }
}
