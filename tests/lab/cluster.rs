//! A Kubernetes that is only its API server, scripted: pods are the lab's own, in cgroups as a kubelet makes
//! them, and the objects are what a test says of them.

use std::{
    fs,
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tapetum_testkit::ApiServer;

use crate::{
    node::Node,
    place::{Place, Process, until},
    programs::lab_program,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running API server, beside an agent that finds it by its KUBECONFIG.
#[derive(Debug)]
pub struct Cluster {
    process: Process,
    config: PathBuf,
}

impl Cluster {
    /// Starts an empty one at the loopback address of a place.
    ///
    /// # Errors
    /// If it does not come to listen.
    pub fn start(place: &Place) -> Result<Self> {
        let mut command = place.command(lab_program()?);
        command.arg("api").stdin(Stdio::piped());
        let process = place.start("api", &mut command)?;
        let url = until("an API server", PATIENCE, || {
            let output = process.output();
            Ok(output.split_once('\n').map(|(url, _)| url.to_owned()))
        })
        .with_context(|| process.errors())?;
        let config = place.dir().join(format!("kubeconfig-{}", process.pid()));
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": url}}],
            "users": [{"name": "lab", "user": {}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        });
        fs::write(&config, text.to_string())?;
        Ok(Self { process, config })
    }

    /// What an agent is started through so that it finds this cluster: `env` and a variable.
    #[must_use]
    pub fn environment(&self) -> [String; 2] {
        let config = self.config.display();
        ["env".to_owned(), format!("KUBECONFIG={config}")]
    }

    /// An object is, or changes.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn put(&mut self, resource: &str, object: &Value) -> Result<()> {
        self.say(&json!({"put": resource, "object": object}))
    }

    /// The API server is away from now on, or is back.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn down(&mut self, is_down: bool) -> Result<()> {
        self.say(&json!({"down": is_down}))
    }

    /// The node, with its address on the wire and a zone that is called after it.
    ///
    /// # Errors
    /// If the server is gone.
    pub fn node(&mut self, node: &Node, n: u32) -> Result<()> {
        self.put(
            "/api/v1/nodes",
            &json!({
                "metadata": {
                    "name": node.name(), "uid": uid(0x1000 + n),
                    "labels": {"topology.kubernetes.io/zone": format!("zone-{}", node.name())},
                },
                "status": {"addresses": [{"type": "InternalIP", "address": node.v4().to_string()}]},
            }),
        )
    }

    fn say(&mut self, line: &Value) -> Result<()> {
        let stdin = self
            .process
            .stdin()
            .context("the API server takes no orders")?;
        writeln!(stdin, "{line}")?;
        Ok(stdin.flush()?)
    }
}

/// The UID of the `n`th pod or other object.
#[must_use]
pub fn uid(n: u32) -> String {
    format!("{n:08x}-4e5f-6071-8293-a4b5c6d7e8f9")
}

/// The id of the `n`th pod's container.
#[must_use]
pub fn container_id(n: u32) -> String {
    format!("{n:08x}{:056x}", 0xfeed)
}

/// The cgroup of the `n`th pod's container, below its node's.
#[must_use]
pub fn container(node: &Node, n: u32) -> String {
    let (node, uid, id) = (node.name(), uid(n), container_id(n));
    format!("{node}/kubepods/burstable/pod{uid}/{id}")
}

/// The object of the `n`th pod: of namespace `shop` and a Deployment, with a container `main`.
#[must_use]
pub fn pod(node: &Node, n: u32, name: &str, address: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("{name}-5f-{n}"), "namespace": "shop", "uid": uid(n),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": uid(n + 0x100), "controller": true,
            }],
        },
        "spec": {"nodeName": node.name(), "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running", "podIPs": [{"ip": address}], "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{"name": "main", "containerID": format!("containerd://{}", container_id(n))}],
        },
    })
}

/// A Service of namespace `shop`, and its slice with one pod behind it.
#[must_use]
pub fn service(n: u32, name: &str, cluster_ip: &str, port: u16) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": uid(n + 0x200)},
        "spec": {"clusterIP": cluster_ip, "ports": [{"port": port, "protocol": "TCP"}]},
    })
}

/// See [`service`]: the `pod`th pod answers for it.
#[must_use]
pub fn slice(n: u32, service: &str, pod: u32, address: &str, port: u16) -> Value {
    json!({
        "metadata": {
            "name": format!("{service}-x"), "namespace": "shop", "uid": uid(n + 0x300),
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "targetRef": {"kind": "Pod", "uid": uid(pod)}}],
    })
}

/// What `lab api` does: an API server until standard input ends, led by its lines.
///
/// # Errors
/// If a line is no order.
pub fn serve() -> Result<()> {
    let server = ApiServer::start();
    writeln!(std::io::stdout(), "{}", server.url())?;
    for line in std::io::stdin().lock().lines() {
        let order: Value = serde_json::from_str(&line?)?;
        if let Some(resource) = order["put"].as_str() {
            server.put(resource, order["object"].clone());
        }
        if let Some(is_down) = order["down"].as_bool() {
            server.down(is_down);
        }
    }
    Ok(())
}

/// Has every connect() of a cgroup's processes to an address and port go to another, before there is a
/// packet: as the load balancers of Cilium and of Calico's eBPF do.
///
/// # Errors
/// If the program does not compile or load.
pub fn rewrite_connects(
    of: &Path,
    place: &Place,
    [from, to]: [std::net::SocketAddrV4; 2],
) -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("connect/connect4.bpf.c");
    let object = place.dir().join("connect4.o");
    // Debian keeps <asm/types.h> there, where clang does not look for BPF.
    let headers = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let define = |name: &str, value: u32| format!("-D{name}={value}u");
    place.run(
        "clang-14",
        &[
            "-O2",
            "-g",
            "-target",
            "bpf",
            "-idirafter",
            &headers,
            &define("FROM_ADDRESS", from.ip().to_bits()),
            &define("FROM_PORT", from.port().into()),
            &define("TO_ADDRESS", to.ip().to_bits()),
            &define("TO_PORT", to.port().into()),
            "-c",
            &source.display().to_string(),
            "-o",
            &object.display().to_string(),
        ],
    )?;
    let script = "mount -t bpf none \"$1\" && bpftool prog load \"$2\" \"$1/connect4\" && \
        bpftool cgroup attach \"$3\" connect4 pinned \"$1/connect4\"";
    let pins = place.dir().join("bpf");
    fs::create_dir_all(&pins)?;
    place.run(
        "unshare",
        &[
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            &pins.display().to_string(),
            &object.display().to_string(),
            &of.display().to_string(),
        ],
    )?;
    Ok(())
}
