//! Objects as the API server sends them, cut down to what is used: everything else is passed over
//! while it is read and never held.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// See the API's reference for this and all that follows.
    pub name: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Unique in space and time.
    pub uid: String,
    /// Where a watch may go on.
    pub resource_version: String,
    /// RFC 3339.
    pub creation_timestamp: Option<String>,
    /// Set while the object is being deleted.
    pub deletion_timestamp: Option<String>,
    /// All; what the file chose is taken out.
    pub labels: BTreeMap<String, String>,
    /// All.
    pub annotations: BTreeMap<String, String>,
    /// Of which one at most is the controller.
    pub owner_references: Vec<OwnerReference>,
}

/// Who an object belongs to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`
    pub api_version: String,
    /// `ReplicaSet`
    pub kind: String,
    /// In the same namespace, or cluster-wide.
    pub name: String,
    /// Of the owner.
    pub uid: String,
    /// Whether it manages the object.
    pub controller: bool,
}

/// An object of which only the metadata matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Bare {
    /// Its metadata.
    pub metadata: Meta,
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Its metadata.
    pub metadata: Meta,
    /// What is wanted.
    pub spec: PodSpec,
    /// What is.
    pub status: PodStatus,
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Empty until it is scheduled.
    pub node_name: String,
    /// In the node's network namespace.
    pub host_network: bool,
    /// Main ones.
    pub containers: Vec<ContainerSpec>,
    /// Also sidecars.
    pub init_containers: Vec<ContainerSpec>,
    /// Added by a person who debugs.
    pub ephemeral_containers: Vec<ContainerSpec>,
}

/// A container that is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// Declared ports.
    pub ports: Vec<ContainerPort>,
}

/// A declared port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// In the pod.
    pub container_port: u16,
    /// On the node.
    pub host_port: u16,
    /// `TCP` if empty.
    pub protocol: String,
}

/// `status` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Succeeded` and `Failed` are for ever.
    pub phase: String,
    /// When the kubelet took it up, before it had an address.
    pub start_time: Option<String>,
    /// All addresses.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
    /// All addresses of the node.
    #[serde(rename = "hostIPs")]
    pub host_ips: Vec<PodIp>,
    /// The first of them.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// Of the main ones.
    pub container_statuses: Vec<ContainerStatus>,
    /// Of the init ones.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Of the ephemeral ones.
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// An address of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// IPv4 or IPv6.
    pub ip: String,
}

/// A container that is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// `containerd://…`
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// What it does.
    pub state: ContainerState,
    /// What it did before it was restarted.
    pub last_state: ContainerState,
}

/// What a container does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It runs.
    pub running: Option<Running>,
    /// It runs no more.
    pub terminated: Option<Terminated>,
}

/// That a container runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// RFC 3339.
    pub started_at: Option<String>,
}

/// That a container runs no more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub finished_at: Option<String>,
    /// `containerd://…`
    #[serde(rename = "containerID")]
    pub container_id: String,
}

/// A Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Its metadata.
    pub metadata: Meta,
    /// What is wanted.
    pub spec: ServiceSpec,
    /// What is.
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `None` for a headless one.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// All of them.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<String>,
    /// Set by the user.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    /// What clients connect to.
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// At the virtual addresses.
    pub port: u16,
    /// At every node; 0: none.
    pub node_port: u16,
    /// `TCP` if empty.
    pub protocol: String,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Of a cloud.
    pub load_balancer: LoadBalancer,
}

/// What a cloud gave.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Its addresses; those that are only host names have an empty one.
    pub ingress: Vec<PodIp>,
}

/// Some backends of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// Its metadata; a label names the Service.
    pub metadata: Meta,
    /// All have all ports.
    #[serde(deserialize_with = "null_is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Of the pods, not of the Service.
    #[serde(deserialize_with = "null_is_empty")]
    pub ports: Vec<EndpointPort>,
}

/// One backend.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// One, as all readers of the API take it.
    pub addresses: Vec<String>,
    /// What it is, mostly a pod.
    pub target_ref: Option<TargetRef>,
}

/// What a backend is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// `Pod`
    pub kind: String,
    /// Of that object.
    pub uid: String,
}

/// A port of all backends of a slice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// None: all.
    pub port: Option<u16>,
    /// `TCP` if empty.
    pub protocol: String,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Its metadata; a label names the zone.
    pub metadata: Meta,
    /// What is.
    pub status: NodeStatus,
}

/// `status` of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Of every kind.
    pub addresses: Vec<NodeAddress>,
}

/// An address of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`
    pub r#type: String,
    /// An address or a name.
    pub address: String,
}

impl Meta {
    /// Its controller.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

impl PodStatus {
    /// Every container that is or was.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.container_statuses
            .iter()
            .chain(&self.init_container_statuses)
            .chain(&self.ephemeral_container_statuses)
    }
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
