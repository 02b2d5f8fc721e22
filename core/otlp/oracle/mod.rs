//! What the encoders should say, built the slow and plain way out of `opentelemetry-proto`'s types.
//!
//! It spells every name itself: a slip in the table of names fails a test.

pub(crate) mod any;
mod points;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span::Link,
};
use tapetum_model::{Attr, Connection, Counters, End, Flags, Loss, Role, Window};

pub(crate) use points::{point, points};

use crate::Agent;

/// Attributes by name: their order means nothing.
pub(crate) fn sorted(attributes: &mut [KeyValue]) {
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
}

/// Puts what has no order into one, so that two messages can be compared.
pub(crate) fn ordered(mut data: TracesData) -> TracesData {
    for resource in &mut data.resource_spans {
        sorted(&mut resource.resource.as_mut().unwrap().attributes);
        for scope in &mut resource.scope_spans {
            sorted(&mut scope.scope.as_mut().unwrap().attributes);
            for span in &mut scope.spans {
                sorted(&mut span.attributes);
            }
        }
    }
    data
}

/// The agent of the tests.
pub(crate) fn agent() -> Agent {
    Agent {
        cluster: "test-cluster".into(),
        node: "test-node".into(),
        host: "test-host".into(),
        instance: "test-instance".into(),
        version: "1.2.3".into(),
    }
}

/// The message that should come of these rows.
pub(crate) fn traces(rows: &[Connection], window: &Window, loss: &Loss) -> TracesData {
    let mut data = TracesData::default();
    let mut place = BTreeMap::new();
    for row in rows.iter().filter(|row| row.flags.has(Flags::SPAN)) {
        let entity = row.local.entity.as_ref();
        let at = *place
            .entry(entity.map(std::sync::Arc::as_ptr))
            .or_insert_with(|| {
                data.resource_spans.push(resource(&row.local, window, loss));
                data.resource_spans.len() - 1
            });
        data.resource_spans[at].scope_spans[0].spans.push(span(row));
    }
    ordered(data)
}

#[derive(Default)]
struct Said(Vec<KeyValue>);

impl Said {
    fn value(&mut self, key: impl Into<String>, value: any_value::Value) {
        self.0.push(KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }

    fn text(&mut self, key: impl Into<String>, value: impl ToString) {
        self.value(key, any_value::Value::StringValue(value.to_string()));
    }

    fn int(&mut self, key: impl Into<String>, value: u64) {
        self.value(key, any_value::Value::IntValue(value as i64));
    }

    fn seconds(&mut self, key: impl Into<String>, value: f64) {
        if value > 0.0 {
            self.value(key, any_value::Value::DoubleValue(value));
        }
    }

    fn count(&mut self, key: impl Into<String>, value: u64) {
        if value > 0 {
            self.int(key, value);
        }
    }
}

fn resource(local: &End, window: &Window, loss: &Loss) -> ResourceSpans {
    let mut of_resource = Said::default();
    let attributes = local
        .entity
        .as_ref()
        .map_or(&[][..], |entity| entity.attributes());
    for (attr, value) in attributes {
        let name = match attr {
            Attr::ServiceName => "service.name",
            Attr::ServiceNamespace => "service.namespace",
            Attr::ServiceInstanceId => "service.instance.id",
            Attr::K8sNamespaceName => "k8s.namespace.name",
            Attr::K8sPodName => "k8s.pod.name",
            Attr::K8sPodUid => "k8s.pod.uid",
            Attr::K8sContainerName => "k8s.container.name",
            Attr::K8sNodeName => "k8s.node.name",
            Attr::K8sDeploymentName => "k8s.deployment.name",
            Attr::ContainerId => "container.id",
            Attr::HostName => "host.name",
            _ => continue,
        };
        of_resource.text(name, value);
    }
    if attributes.is_empty() {
        of_resource.text("service.name", "unknown_service");
        of_resource.text("host.name", "test-host");
    }
    of_resource.text("k8s.cluster.name", "test-cluster");
    let mut of_scope = Said::default();
    of_scope.int("tapetum.window.start", window.start.0);
    of_scope.int("tapetum.window.end", window.end.0);
    of_scope.int("tapetum.window.lost", loss.ring + loss.limit + loss.queue);
    of_scope.int("tapetum.window.lost.ring", loss.ring);
    of_scope.int("tapetum.window.lost.limit", loss.limit);
    of_scope.int("tapetum.window.lost.queue", loss.queue);
    ResourceSpans {
        resource: Some(Resource {
            attributes: of_resource.0,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "tapetum".into(),
                version: "1.2.3".into(),
                attributes: of_scope.0,
                ..InstrumentationScope::default()
            }),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn span(row: &Connection) -> Span {
    let name = row
        .server()
        .service
        .as_ref()
        .map(|service| service.name.to_string())
        .or_else(|| Some(row.server().entity.as_ref()?.name()?.to_string()))
        .unwrap_or_else(|| format!(":{}", row.server().address.port()));
    let remote = row.flags.has(Flags::REMOTE_PARENT) && row.parent.is_some();
    Span {
        trace_id: row.trace.0.to_vec(),
        span_id: row.span.0.to_vec(),
        parent_span_id: row.parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
        flags: if remote { 0x303 } else { 0x103 },
        name: format!("tcp {name}"),
        kind: if row.role == Role::Client { 3 } else { 2 },
        start_time_unix_nano: row.start.0,
        end_time_unix_nano: row.end.0,
        attributes: attributes(row).0,
        links: row
            .link
            .iter()
            .map(|link| Link {
                trace_id: link.trace.0.to_vec(),
                span_id: link.span.0.to_vec(),
                flags: 0x103,
                ..Link::default()
            })
            .collect(),
        status: row.error.map(|_| Status {
            code: 2,
            ..Status::default()
        }),
        ..Span::default()
    }
}

fn attributes(row: &Connection) -> Said {
    let mut said = Said::default();
    let family = if row.local.address.is_ipv4() {
        "ipv4"
    } else {
        "ipv6"
    };
    said.text("network.transport", "tcp");
    said.text("network.type", family);
    socket(&mut said, "client", row.client().address);
    socket(&mut said, "server", row.server().address);
    socket(
        &mut said,
        "network.peer",
        row.answered_by.unwrap_or(row.remote.address),
    );
    socket(&mut said, "network.local", row.local.address);
    far(row, &mut said);
    if let Some(process) = &row.process {
        said.int("process.pid", u64::from(process.pid));
        said.text("process.executable.name", &process.executable);
    }
    counters(&mut said, &row.period, "");
    if row.flags.has(Flags::TOTALS) {
        counters(&mut said, &row.total, ".total");
    }
    said.seconds("tcp.rtt.smoothed", f64::from(row.rtt_smoothed_us) / 1e6);
    said.seconds("tcp.rtt.min", f64::from(row.rtt_min_us) / 1e6);
    said.seconds("tcp.rtt.variance", f64::from(row.rtt_variance_us) / 1e6);
    said.seconds("tcp.handshake.duration", f64::from(row.handshake_us) / 1e6);
    said.count("tcp.reordering", u64::from(row.reordering));
    if let Some(reason) = row.end_reason {
        said.text("tcp.end_reason", reason.name());
    }
    if let Some(error) = row.error {
        said.text("error.type", error.name());
    }
    said
}

fn socket(said: &mut Said, name: &str, socket: SocketAddr) {
    said.text(format!("{name}.address"), socket.ip());
    said.int(format!("{name}.port"), u64::from(socket.port()));
}

fn far(row: &Connection, said: &mut Said) {
    let side = if row.role == Role::Client {
        "destination"
    } else {
        "source"
    };
    let attributes = row
        .remote
        .entity
        .as_ref()
        .map_or(&[][..], |entity| entity.attributes());
    for (attr, value) in attributes {
        let name = match attr {
            Attr::ServiceName => "service.name",
            Attr::K8sNamespaceName => "k8s.namespace.name",
            Attr::K8sPodName => "k8s.pod.name",
            Attr::K8sContainerName => "k8s.container.name",
            Attr::K8sNodeName => "k8s.node.name",
            Attr::K8sWorkloadName => "k8s.workload.name",
            Attr::K8sWorkloadKind => "k8s.workload.kind",
            Attr::Zone => "zone",
            _ => continue,
        };
        said.text(format!("{side}.{name}"), value);
    }
    if row.remote.translated {
        said.value(
            format!("{side}.translated"),
            any_value::Value::BoolValue(true),
        );
    }
    if let Some(service) = &row.server().service {
        said.text("destination.k8s.service.name", &service.name);
        if row.role == Role::Client && attributes.is_empty() {
            said.text("destination.k8s.namespace.name", &service.namespace);
        }
    }
    if row.role == Role::Client {
        let service = row.remote.service.as_ref().map(|service| &service.name);
        let entity = row.remote.entity.as_ref().and_then(|entity| entity.name());
        if let Some(name) = entity.or(service) {
            said.text("service.peer.name", name);
            said.text("peer.service", name);
        }
    }
}

fn counters(said: &mut Said, of: &Counters, suffix: &str) {
    said.count(format!("flow.bytes.sent{suffix}"), of.bytes_sent);
    said.count(format!("flow.bytes.received{suffix}"), of.bytes_received);
    said.count(format!("flow.packets.sent{suffix}"), of.packets_sent);
    said.count(
        format!("flow.packets.received{suffix}"),
        of.packets_received,
    );
    said.count(format!("tcp.retransmits{suffix}"), of.retransmits);
    said.count(
        format!("tcp.bytes.retransmitted{suffix}"),
        of.bytes_retransmitted,
    );
    said.seconds(
        format!("tcp.rwnd_limited{suffix}"),
        of.rwnd_limited_ns as f64 / 1e9,
    );
    said.seconds(
        format!("tcp.sndbuf_limited{suffix}"),
        of.sndbuf_limited_ns as f64 / 1e9,
    );
}
