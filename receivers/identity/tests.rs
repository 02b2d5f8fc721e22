//! Names on a made-up host: cgroups are folders of a temporary directory, ids their inode numbers.

use std::os::unix::fs::MetadataExt as _;

use super::*;

const ID: &str = "3f4a9c8e7d6b5a493827161504f3e2d1c0b9a8978685746352413f2e1d0c9b8a";
const UID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

struct MadeUp {
    root: tempfile::TempDir,
}

impl MadeUp {
    /// With these v2 cgroups, and these of the v1 memory hierarchy (number 4).
    fn new(unified: &[&str], memory: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("proc/self")).unwrap();
        let mut mounts = "1 0 0:1 / / rw - ext4 x rw\nbroken\n".to_owned();
        let v2 = at("v2");
        let v1 = at("v1");
        mounts += &format!(
            "2 1 0:2 / {} rw shared:1 - cgroup2 none rw,nsdelegate\n",
            v2.display()
        );
        mounts += &format!("3 1 0:3 / {} rw - cgroup none rw,memory\n", v1.display());
        fs::write(at("proc/self/mountinfo"), mounts).unwrap();
        fs::write(
            at("proc/self/cgroup"),
            "4:memory:/\n2:cpu,cpuacct:/\n0::/\n",
        )
        .unwrap();
        fs::create_dir_all(&v2).unwrap();
        fs::create_dir_all(&v1).unwrap();
        for path in unified {
            fs::create_dir_all(v2.join(path)).unwrap();
        }
        for path in memory {
            fs::create_dir_all(v1.join(path)).unwrap();
        }
        Self { root }
    }

    fn names(&self) -> Names {
        Names::of_host("node-1", &self.root.path().join("proc"), 1)
    }

    fn id(&self, path: &str) -> u64 {
        fs::metadata(self.root.path().join(path)).unwrap().ino()
    }

    fn process(&self, pid: u32, comm: &str, cgroup: &str) {
        let folder = self.root.path().join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("cgroup"), cgroup).unwrap();
    }
}

fn attribute(entity: &Entity, attr: &Attr) -> Option<String> {
    entity.attribute(attr).map(|value| value.to_string())
}

#[test]
fn a_container_is_one_entity_named_by_its_first_process() {
    let path = format!("kubepods/burstable/pod{UID}/{ID}");
    let host = MadeUp::new(&[&path], &[]);
    host.process(700, "nginx", "");
    host.process(90, "sh", "");
    fs::write(
        host.root.path().join("v2").join(&path).join("cgroup.procs"),
        "712\n700\n",
    )
    .unwrap();
    let mut names = host.names();
    let creator = |comm| Creator {
        cgroup_id: host.id(&format!("v2/{path}")),
        comm,
        ..Creator::default()
    };
    let entity = names.entity(&creator("worker"));
    assert_eq!(
        attribute(&entity, &Attr::ServiceName).as_deref(),
        Some("nginx")
    );
    assert_eq!(attribute(&entity, &Attr::ContainerId).as_deref(), Some(ID));
    assert_eq!(attribute(&entity, &Attr::K8sPodUid).as_deref(), Some(UID));
    assert_eq!(
        attribute(&entity, &Attr::HostName).as_deref(),
        Some("node-1")
    );
    assert!(Arc::ptr_eq(&entity, &names.entity(&creator("another"))));
}

#[test]
fn a_shell_that_starts_a_container_does_not_name_it() {
    let path = format!("docker/{ID}");
    let host = MadeUp::new(&[&path], &[]);
    host.process(90, "sh", "");
    fs::write(
        host.root.path().join("v2").join(&path).join("cgroup.procs"),
        "90\n95\n",
    )
    .unwrap();
    let creator = Creator {
        cgroup_id: host.id(&format!("v2/{path}")),
        comm: "redis-server",
        ..Creator::default()
    };
    let entity = host.names().entity(&creator);
    assert_eq!(
        attribute(&entity, &Attr::ServiceName).as_deref(),
        Some("redis-server")
    );
    let nameless = Creator {
        comm: "",
        ..creator
    };
    fs::remove_file(host.root.path().join("v2").join(&path).join("cgroup.procs")).unwrap();
    let entity = host.names().entity(&nameless);
    assert_eq!(
        attribute(&entity, &Attr::ServiceName).as_deref(),
        Some(&ID[..12])
    );
}

#[test]
fn a_cgroup_that_lived_for_a_moment_has_a_name() {
    let host = MadeUp::new(&[], &[]);
    let mut names = host.names();
    names.learn(0, 77, &format!("/system.slice/docker-{ID}.scope"));
    names.learn(4, 78, "/system.slice/cron.service");
    names.learn(9, 79, "/system.slice/of-another-hierarchy.service");
    let named = |names: &mut Names, cgroup_id, cgroup_v1_id| {
        let entity = names.entity(&Creator {
            cgroup_id,
            cgroup_v1_id,
            pid: 0,
            comm: "c",
        });
        attribute(&entity, &Attr::ContainerId).or(attribute(&entity, &Attr::ServiceName))
    };
    assert_eq!(named(&mut names, 77, 0).as_deref(), Some(ID));
    assert_eq!(named(&mut names, 0, 78).as_deref(), Some("cron"));
    assert_eq!(named(&mut names, 0, 79).as_deref(), Some("c"));
}

#[test]
fn on_a_hybrid_host_the_hierarchy_that_has_the_container_wins() {
    let v1 = format!("docker/{ID}");
    let host = MadeUp::new(&[], &[&v1]);
    let creator = Creator {
        cgroup_id: host.id("v2"),
        cgroup_v1_id: host.id(&format!("v1/{v1}")),
        pid: 0,
        comm: "app",
    };
    let entity = host.names().entity(&creator);
    assert_eq!(attribute(&entity, &Attr::ContainerId).as_deref(), Some(ID));
}

#[test]
fn what_was_missed_is_read_from_the_process_and_an_unknown_is_not_remembered() {
    let host = MadeUp::new(&[], &[]);
    let mut names = host.names();
    let creator = Creator {
        cgroup_id: 55,
        cgroup_v1_id: 0,
        pid: 4711,
        comm: "app",
    };
    assert_eq!(
        names.entity(&creator).name().map(|name| &**name),
        Some("app")
    );
    host.process(
        4711,
        "app",
        "4:memory:/\n0::/system.slice/app-server.service\n",
    );
    assert_eq!(
        names.entity(&creator).name().map(|name| &**name),
        Some("app-server")
    );
}

#[test]
fn a_process_that_moved_on_does_not_lend_its_new_name() {
    let host = MadeUp::new(&["system.slice/other.service"], &[]);
    host.process(4711, "app", "0::/system.slice/other.service\n");
    let creator = Creator {
        cgroup_id: 1,
        pid: 4711,
        comm: "app",
        ..Creator::default()
    };
    let entity = host.names().entity(&creator);
    assert_eq!(entity.name().map(|name| &**name), Some("app"));
}

#[test]
fn nobody_is_without_a_name_and_equal_processes_share_one_entity() {
    let host = MadeUp::new(&["user.slice/user-0.slice/session-1.scope"], &[]);
    let mut names = host.names();
    let cgroup_id = host.id("v2/user.slice/user-0.slice/session-1.scope");
    let curl = names.entity(&Creator {
        cgroup_id,
        comm: "curl",
        ..Creator::default()
    });
    assert_eq!(curl.name().map(|name| &**name), Some("curl"));
    assert!(Arc::ptr_eq(
        &curl,
        &names.entity(&Creator {
            comm: "curl",
            ..Creator::default()
        })
    ));
    let unknown = names.entity(&Creator::default());
    assert_eq!(unknown.name().map(|name| &**name), Some("unknown"));
}

#[test]
fn a_host_without_cgroups_or_proc_still_names_processes() {
    let mut names = Names::of_host("h", Path::new("/nonexistent"), 1);
    let entity = names.entity(&Creator {
        cgroup_id: 1,
        cgroup_v1_id: 2,
        pid: 3,
        comm: "x",
    });
    assert_eq!(entity.name().map(|name| &**name), Some("x"));
}
