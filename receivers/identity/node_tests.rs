//! Recorded paths of agents in pods, on hosts that are made up: what is one node there, and what is not.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::*;

const ID: &str = "3f4a9c8e7d6b5a493827161504f3e2d1c0b9a8978685746352413f2e1d0c9b8a";
const INNER: &str = "aa00bb11cc22dd33ee44ff5566778899aa00bb11cc22dd33ee44ff5566778899";
const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
const PID: u32 = 4711;

/// A host whose cgroups are folders; none of them is a root by its inode, as in a container.
struct MadeUp {
    root: tempfile::TempDir,
}

impl MadeUp {
    /// Of an agent whose `/proc/self/cgroup` and whose mount's root are these; v1 if it says so.
    fn new(shown: &str, root: &str, v1: bool) -> Self {
        let made = tempfile::tempdir().unwrap();
        let groups = made.path().join("groups");
        fs::create_dir_all(&groups).unwrap();
        fs::create_dir_all(made.path().join("proc/self")).unwrap();
        let (kind, options, line) = if v1 {
            ("cgroup", "rw,memory", "4:memory")
        } else {
            ("cgroup2", "rw", "0:")
        };
        let mounts = format!(
            "2 1 0:2 {root} {} rw - {kind} none {options}\n",
            groups.display()
        );
        fs::write(made.path().join("proc/self/mountinfo"), mounts).unwrap();
        fs::write(
            made.path().join("proc/self/cgroup"),
            format!("{line}:{shown}\n"),
        )
        .unwrap();
        Self { root: made }
    }

    fn group(&self, path: &str) -> PathBuf {
        let group = self
            .root
            .path()
            .join("groups")
            .join(path.trim_start_matches('/'));
        fs::create_dir_all(&group).unwrap();
        group
    }

    fn with_process(self, path: &str, pid: u32) -> Self {
        fs::write(self.group(path).join("cgroup.procs"), format!("{pid}\n")).unwrap();
        self
    }

    fn node(&self) -> Node {
        Node::of_process(&self.root.path().join("proc"), PID)
    }

    fn below(&self, path: &str, v1: bool) -> Node {
        let id = fs::metadata(self.group(path)).unwrap().ino();
        let path = path.to_owned();
        Node::Below(Group { path, id, v1 })
    }
}

fn filled(pattern: &str) -> String {
    pattern
        .replace("INNER", INNER)
        .replace("U_I_D", &UID.replace('-', "_"))
        .replace("UID", UID)
        .replace("ID", ID)
}

/// Path of the agent, and the node that it is in: a container, so nothing else is asked.
const NODES: &[(&str, &str)] = &[
    (
        "/docker/ID/kubelet/kubepods/burstable/podUID/INNER",
        "/docker/ID",
    ),
    ("/docker/ID/kubepods/besteffort/podUID/INNER", "/docker/ID"),
    (
        "/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podU_I_D.slice/cri-containerd-INNER.scope",
        "/docker/ID",
    ),
    (
        "/system.slice/docker-ID.scope/kubepods.slice/kubepods-podU_I_D.slice/cri-containerd-INNER.scope",
        "/system.slice/docker-ID.scope",
    ),
    (
        "/machine.slice/libpod-ID.scope/container/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_I_D.slice/crio-INNER.scope",
        "/machine.slice/libpod-ID.scope/container",
    ),
    // k3s in a pod of another cluster.
    (
        "/kubepods/burstable/podUID/ID/kubepods/besteffort/podUID/INNER",
        "/kubepods/burstable/podUID/ID",
    ),
    (
        "/lxc.payload.node1/kubepods/podUID/INNER",
        "/lxc.payload.node1",
    ),
    ("/lxc/node1/kubepods/podUID/INNER", "/lxc/node1"),
    (
        "/machine.slice/systemd-nspawn@node1.service/kubepods/podUID/INNER",
        "/machine.slice/systemd-nspawn@node1.service",
    ),
    (
        "/machine.slice/machine-node1.scope/kubepods/podUID/INNER",
        "/machine.slice/machine-node1.scope",
    ),
];

#[test]
fn a_container_that_holds_the_pods_is_the_node() {
    for (pattern, node) in NODES {
        for v1 in [false, true] {
            let host = MadeUp::new(&filled(pattern), "/", v1);
            let expected = host.below(&filled(node), v1);
            assert_eq!(host.node(), expected, "{pattern}");
        }
    }
}

#[test]
fn pods_directly_in_the_host_have_the_kernel_for_themselves() {
    for (pattern, pods) in [
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/cri-containerd-ID.scope",
            "/kubepods.slice",
        ),
        ("/kubepods/besteffort/podUID/ID", "/kubepods"),
        ("/kubelet/kubepods/podUID/ID", "/kubelet/kubepods"),
        // The drivers of kubelet and containerd disagree.
        (
            "/system.slice/containerd.service/kubepods-burstable-podU_I_D.slice:cri-containerd:ID",
            "/system.slice/containerd.service/kubepods-burstable-podU_I_D.slice:cri-containerd:ID",
        ),
    ] {
        // As on a host: all that is mounted is the agent's own, and the path says that this is not all.
        let own = filled(pattern);
        let host = MadeUp::new(&own, &own, false);
        let pods = filled(pods);
        assert_eq!(host.node(), Node::Whole { pods }, "{pattern}");
    }
}

#[test]
fn a_folder_of_cgroups_is_a_node_if_its_daemons_live_there() {
    let own = filled("/lab/node-1/kubepods/burstable/podUID/ID");
    let host = MadeUp::new(&own, "/", false).with_process("/lab/node-1/daemons/kubelet", 7);
    assert_eq!(host.node(), host.below("/lab/node-1", false));
    // A kubelet that was told to put pods there lives elsewhere.
    let host = MadeUp::new(&own, "/", false)
        .with_process("/lab/node-1/kubepods/burstable", 8)
        .with_process("/system.slice/kubelet.service", 7);
    host.group("/lab/node-1/empty");
    let pods = "/lab/node-1/kubepods".to_owned();
    assert_eq!(host.node(), Node::Whole { pods });
}

#[test]
fn in_a_cgroup_namespace_of_its_own_the_agent_is_found_by_its_process() {
    let own = filled("/node-1/kubepods/burstable/podUID/ID");
    let host = MadeUp::new("/", "/../../../../..", false)
        .with_process("/node-1/daemons", 7)
        .with_process("/node-2/kubepods/burstable/podUID/other", 8)
        .with_process(&own, PID);
    assert_eq!(host.node(), host.below("/node-1", false));
    // kind: what is mounted is the node itself.
    let own = filled(
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_I_D.slice/cri-containerd-ID.scope",
    );
    let host = MadeUp::new("/", "/../../../..", false).with_process(&own, PID);
    assert_eq!(host.node(), host.below("/", false));
}

#[test]
fn an_agent_in_no_pod_reports_the_kernel_and_a_blind_one_says_so() {
    for own in ["/system.slice/tapetum.service", "/docker/ID"] {
        let host = MadeUp::new(&filled(own), "/", false);
        assert_eq!(host.node(), Node::NoPod, "{own}");
    }
    assert_eq!(MadeUp::new("/", "/", false).node(), Node::Hidden);
    let nowhere = Node::of_process(Path::new("/nonexistent"), PID);
    assert_eq!(nowhere, Node::Hidden);
    // The node is there, but nothing of it is mounted here.
    let own = filled("/docker/ID/kubepods/podUID/INNER");
    assert_eq!(MadeUp::new(&own, &own, false).node(), Node::Hidden);
}

#[test]
fn what_is_reported_is_a_sentence() {
    let host = MadeUp::new(&filled("/docker/ID/kubepods/podUID/INNER"), "/", false);
    host.group(&filled("/docker/ID"));
    let said = host.node().to_string();
    assert_eq!(
        said,
        format!("what lives below /docker/{ID}, because this agent's pod does")
    );
    let whole = Node::Whole {
        pods: "/kubepods.slice".to_owned(),
    };
    assert!(
        whole.to_string().contains("pod is in its /kubepods.slice"),
        "{whole}"
    );
}
