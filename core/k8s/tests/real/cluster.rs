//! A real API server alone, started by `tests/backends/run`, and a hand on it.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tapetum_k8s::{Naming, Pace, Scope, Settings, Source, Watch};
use tapetum_model::UnixNanos;
use tapetum_testkit::skip_this;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);
/// What `tests/backends/run` answers where Kubernetes is not built on this machine.
const NOT_BUILT: i32 = 3;

pub(crate) struct Cluster {
    dir: TempDir,
    port: u16,
}

impl Cluster {
    /// `None`, and said so, on a machine without Kubernetes.
    pub(crate) fn start() -> Option<Self> {
        let cluster = Self {
            dir: TempDir::new().expect("a folder"),
            port: free_port(),
        };
        match cluster.run_server() {
            Some(NOT_BUILT) => {
                skip_this(
                    "tapetum-k8s",
                    "has no Kubernetes: tests/backends/run build kubernetes",
                );
                return None;
            }
            code => assert_eq!(code, Some(0), "the API server does not start"),
        }
        Some(cluster)
    }

    fn run_server(&self) -> Option<i32> {
        let port = self.port.to_string();
        let status = Command::new(root().join("tests/backends/run"))
            .args(["start", "kubernetes"])
            .arg(self.dir.path())
            .arg(port)
            .status();
        status.expect("the script runs").code()
    }

    pub(crate) fn stop(&self) {
        let stopped = Command::new(root().join("tests/backends/run"))
            .arg("stop")
            .arg(self.dir.path())
            .status();
        assert!(stopped.expect("the script runs").success());
    }

    /// Whether with the objects that it had: its etcd keeps them.
    pub(crate) fn start_again(&mut self) {
        assert_eq!(
            self.run_server(),
            Some(0),
            "the API server does not start again"
        );
    }

    pub(crate) fn watch(&self) -> Watch {
        let settings = Settings {
            scope: Scope::Cluster,
            node: "node-1".into(),
            naming: Naming::default(),
            source: Source::File(self.dir.path().join("agent.kubeconfig")),
            pace: Pace {
                first: Duration::from_millis(50),
                most: Duration::from_millis(500),
                ..Pace::default()
            },
        };
        let clock = Arc::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            UnixNanos(since.unwrap_or_default().as_nanos() as u64)
        });
        Watch::start(settings, clock, 1).expect("it starts")
    }

    /// Makes an object; returns what the API server made of it.
    pub(crate) fn create(&self, object: &Value) -> Value {
        let made = self.kubectl(&["create", "--output", "json", "--filename", "-"], object);
        serde_json::from_str(&made).expect("an object")
    }

    /// A pod that runs, as a kubelet would tell; returns its UID.
    pub(crate) fn pod(&self, name: &str, owner: Option<Value>, ip: &str) -> String {
        let pod = self.create(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "ownerReferences": owner.into_iter().collect::<Vec<_>>()},
            "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "none"}]},
        }));
        let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}});
        let patch = ["patch", "pod", name, "--subresource", "status", "--patch"];
        self.kubectl(&[&patch[..], &[&status.to_string()]].concat(), &Value::Null);
        pod["metadata"]["uid"].as_str().expect("a UID").to_owned()
    }

    /// Installs the chart's rights, as they are rendered.
    pub(crate) fn apply_chart(&self) {
        for file in ["namespace", "rbac"] {
            let path = root().join(format!("deploy/kustomize/{file}.yaml"));
            let path = path.to_string_lossy();
            self.kubectl(&["apply", "--filename", &path], &Value::Null);
        }
    }

    /// How many rights the chart gives.
    pub(crate) fn rights_of_the_chart(&self) -> usize {
        self.apply_chart();
        let role = self.kubectl(
            &["get", "clusterrole", "tapetum", "--output", "json"],
            &Value::Null,
        );
        let role: Value = serde_json::from_str(&role).expect("a role");
        let rules = role["rules"].as_array().expect("rules").iter();
        let count = |rule: &Value, key: &str| rule[key].as_array().map_or(0, Vec::len);
        rules
            .map(|rule| count(rule, "resources") * count(rule, "verbs"))
            .sum()
    }

    /// Gives the agent these rights and no others.
    pub(crate) fn grant<'a>(&self, rights: impl Iterator<Item = (&'a str, &'a str, &'a str)>) {
        let rules: Vec<_> = rights
            .map(|(group, resource, verb)| {
                json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]})
            })
            .collect();
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "tapetum"}, "rules": rules,
        });
        self.kubectl(&["replace", "--filename", "-"], &role);
    }

    fn kubectl(&self, arguments: &[&str], input: &Value) -> String {
        let mut child = Command::new(self.dir.path().join("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.dir.path().join("admin.kubeconfig"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        stdin
            .write_all(input.to_string().as_bytes())
            .expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "kubectl {arguments:?} failed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Three ports in a row that nobody listens on, below those that the kernel gives to connections: an API
/// server that comes back must find them free.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let listen = |port| TcpListener::bind(("127.0.0.1", port));
    let begin = 20_000 + (std::process::id() % 4_000) as u16 * 3;
    loop {
        let port = begin.wrapping_add(3 * NEXT.fetch_add(1, Ordering::Relaxed));
        if (port..port + 3).all(|port| listen(port).is_ok()) {
            return port;
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
