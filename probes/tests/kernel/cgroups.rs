//! Control groups: the id on a row is the inode of the directory, learnt when it is made.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use tapetum_probes::tcp::{Event, NodeGroup, Options, Role, Row};
use tapetum_testkit::skip_this;

use super::watch::{Watch, What};

/// A control group that goes with the test.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn unified() -> Option<PathBuf> {
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let root = roots
        .into_iter()
        .find(|root| root.join("cgroup.controllers").exists());
    if root.is_none() {
        skip_this("probes", "needs a unified control group hierarchy");
    }
    root.map(Path::to_path_buf)
}

/// A connection of a process in the group: its id, and the rows of both ends.
fn connection_from(group: &Group, watch: &mut Watch) -> (u32, Row, Row) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let connect = format!(
        "echo $$ > {}/cgroup.procs && exec 3<>/dev/tcp/127.0.0.1/{port} && read -u 3 x; true",
        group.0.display()
    );
    let mut child = Command::new("bash")
        .args(["-c", &connect])
        .spawn()
        .expect("bash");
    let (accepted, _) = listener.accept().expect("accepts");
    let opened = watch.until(What::Opened, 2);
    let of = |role| {
        *opened
            .iter()
            .find(|row| row.role() == role)
            .expect("a role each")
    };
    drop(accepted);
    child.wait().expect("ended");
    (child.id(), of(Role::Client), of(Role::Server))
}

#[test]
fn a_new_group_is_told_with_the_id_that_its_connections_carry() {
    let Some(root) = unified() else { return };
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let group = Group(root.join(format!("tapetum-kernel-test-{}", process::id())));
    fs::create_dir(&group.0).expect("made");
    let inode = fs::metadata(&group.0).expect("there").ino();
    let mut told = None;
    watch.probe.drain(&mut |event| {
        if let Event::CgroupMade(made) = event
            && made.id == inode
        {
            told = Some((made.hierarchy, made.level, made.path.to_vec()));
        }
    });
    let path = format!("/tapetum-kernel-test-{}", process::id());
    assert_eq!(told, Some((0, 1, path.into_bytes())));

    let (pid, client, server) = connection_from(&group, &mut watch);
    assert_eq!((client.cgroup_id, client.socket_cgroup_id), (inode, inode));
    assert_eq!((client.pid, client.comm()), (pid, &b"bash"[..]));
    assert_ne!(server.cgroup_id, inode);
}

#[test]
fn a_process_in_a_v1_memory_group_carries_that_group_too() {
    let root = Path::new("/sys/fs/cgroup/memory");
    if !root.join("memory.limit_in_bytes").exists() {
        skip_this("probes", "needs a v1 memory hierarchy");
        return;
    }
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let group = Group(root.join(format!("tapetum-kernel-test-{}", process::id())));
    fs::create_dir(&group.0).expect("made");
    let inode = fs::metadata(&group.0).expect("there").ino();
    let (_, client, _) = connection_from(&group, &mut watch);
    assert_eq!(client.cgroup_v1_id, inode);
}

/// What is told of one connection from `group` to a listener that is outside of every group of ours, by a
/// probe whose node is `node`: the roles, and how many ends were left out.
fn told_of_node(node: NodeGroup, group: &Group, adopted: bool) -> Option<(Vec<Role>, u64)> {
    let options = Options {
        node: Some(node),
        ..Options::default()
    };
    let dial = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let connect = format!(
            "echo $$ > {}/cgroup.procs && exec 3<>/dev/tcp/127.0.0.1/{port} && read -u 3 x; true",
            group.0.display()
        );
        let child = Command::new("bash").args(["-c", &connect]).spawn();
        let (accepted, _) = listener.accept().expect("accepts");
        (child.expect("bash"), accepted, listener)
    };
    let (mut watch, (mut child, accepted, _listener), what) = if adopted {
        let (mut watch, dialled) = Watch::start_after(&options, dial)?;
        watch.probe.adopt().expect("adopts");
        (watch, dialled, What::Adopted)
    } else {
        let watch = Watch::start(&options)?;
        (watch, dial(), What::Opened)
    };
    watch.drain();
    let roles = watch.of(what).iter().map(Row::role).collect();
    let left_out = watch.probe.counters().expect("counts").elsewhere;
    assert!(watch.of(What::Listening).is_empty(), "{:?}", watch.rows);
    drop(accepted);
    child.wait().expect("ended");
    watch.drain();
    assert_eq!(watch.of(What::Closed).len(), watch.of(what).len());
    Some((roles, left_out))
}

fn of_one_node(root: &Path, v1: bool) {
    let own = Group(root.join(format!("tapetum-kernel-node-{}", process::id())));
    fs::create_dir(&own.0).expect("made");
    let pod = Group(own.0.join("pod"));
    fs::create_dir(&pod.0).expect("made");
    let other = Group(root.join(format!("tapetum-kernel-other-{}", process::id())));
    fs::create_dir(&other.0).expect("made");
    let id = fs::metadata(&own.0).expect("there").ino();
    let node = NodeGroup { id, v1 };
    for adopted in [false, true] {
        let Some((roles, left_out)) = told_of_node(node, &pod, adopted) else {
            return;
        };
        assert_eq!(roles, [Role::Client], "v1: {v1}, adopted: {adopted}");
        assert!(left_out >= 1, "the server's end");
        let (roles, left_out) = told_of_node(node, &other, adopted).expect("as before");
        assert_eq!(roles, [], "v1: {v1}, adopted: {adopted}");
        assert!(left_out >= 2, "both ends");
    }
}

#[test]
fn of_several_nodes_on_a_kernel_only_one_is_told() {
    if let Some(root) = unified() {
        of_one_node(&root, false);
    }
}

#[test]
fn of_several_nodes_in_v1_groups_only_one_is_told() {
    let root = Path::new("/sys/fs/cgroup/memory");
    if root.join("memory.limit_in_bytes").exists() {
        of_one_node(root, true);
    } else {
        skip_this("probes", "needs a v1 memory hierarchy");
    }
}
