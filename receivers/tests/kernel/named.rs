//! Names of what lives only for a moment, from cgroups of our own.

use std::path::{Path, PathBuf};

use tapetum_model::Attr;

use crate::agent::Agent;
use crate::net::Net;
use crate::{SERVER, closed, name, ready, skip};

/// A cgroup as a runtime makes one; gone when it is dropped.
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn unified() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .find(|mount| mount.join("cgroup.controllers").is_file())
}

/// Runs Python in `a` and in a new cgroup.
fn run_in(net: &Net, cgroup: &Path, code: &str) {
    let code = format!(
        "import os\nopen('{}/cgroup.procs', 'w').write(str(os.getpid()))\n{code}",
        cgroup.display()
    );
    net.python("a", &code);
}

#[test]
fn a_container_and_a_unit_that_live_for_a_moment_have_names() {
    if !ready() {
        return;
    }
    let Some(mount) = unified() else {
        skip("needs a cgroup v2 hierarchy");
        return;
    };
    let net = Net::new();
    let _server = net.start("b", SERVER);
    let mut agent = Agent::start();
    let id = format!("{:064x}", u128::from(std::process::id()) << 64 | 0xabc);
    let unit = format!("receiver-test-{}", std::process::id());
    let container = Cgroup(mount.join(format!("docker-{id}.scope")));
    let service = Cgroup(mount.join(format!("{unit}.service")));
    let connect = format!(
        "import socket\nc = socket.create_connection(('{}', 8080)); c.shutdown(1); c.recv(1); c.close()\n",
        net.ip(2)
    );
    for cgroup in [&container, &service] {
        std::fs::create_dir(&cgroup.0).unwrap();
        run_in(&net, &cgroup.0, &connect);
    }
    agent.until("two closes at both ends", |agent| {
        let (clients, servers) = agent.spans(|ip| net.has(ip));
        closed(&clients) == 2 && closed(&servers) == 2
    });
    agent.stop();
    let (clients, servers) = agent.spans(|ip| net.has(ip));
    let contained = clients.iter().find(|row| {
        let entity = row.local.entity.as_ref().unwrap();
        entity
            .attribute(&Attr::ContainerId)
            .is_some_and(|found| **found == *id)
    });
    assert_eq!(name(&contained.unwrap().local).as_deref(), Some("python3"));
    assert!(
        clients
            .iter()
            .any(|row| name(&row.local).as_deref() == Some(&unit))
    );
    assert!(
        servers
            .iter()
            .any(|row| name(&row.remote).as_deref() == Some(&unit))
    );
    let processes = clients
        .iter()
        .map(|row| row.process.as_ref().unwrap().executable.to_string());
    assert!(processes.into_iter().all(|comm| comm == "python3"));
}
