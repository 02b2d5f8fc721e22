//! Pods of a cluster whose API server is scripted: who is at each end of real connections, whatever
//! translated the addresses between them, and how late or absent the API server is.

use std::net::{SocketAddr, SocketAddrV4};

use anyhow::{Context as _, Result};
use tapetum_lab::{
    Agent, Cluster, Lab, Ledger, Node, Pipelines, Place, Pod, Process, Server, Span,
    cluster::{container, pod, rewrite_connects, service, slice},
    traffic::{self, Plan},
};

const SERVICES: &str = "/api/v1/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const PODS: &str = "/api/v1/pods";

/// A node with a pod on it, an API server that the agent there asks, and something that serves the node.
struct Scene {
    node: Node,
    pod: Pod,
    cluster: Cluster,
    _daemon: Process,
}

impl Scene {
    fn new(lab: &mut Lab, name: &str, n: u32) -> Result<Self> {
        let node = lab.node(name)?;
        let pod = node.pod("shop")?.in_cgroup(&container(&node, n))?;
        let daemons = node.with_cgroup(&format!("{name}/daemons"))?;
        let daemon = daemons.start("daemon", daemons.command("sleep").arg("600"))?;
        let cluster = Cluster::start(&daemons)?;
        Ok(Self {
            node,
            pod,
            cluster,
            _daemon: daemon,
        })
    }

    /// An agent in a pod of its own, which asks this node's API server.
    fn agent(&self, name: &str) -> Result<Agent> {
        let place = self.node.with_cgroup(&container(&self.node, 99))?;
        let pipelines = Pipelines {
            k8s: Some(format!("node = \"{}\"", self.node.name())),
            ..Pipelines::default()
        };
        let environment = self.cluster.environment();
        let through: Vec<&str> = environment.iter().map(String::as_str).collect();
        let mut agent = Agent::launch_through(&place, name, &pipelines, &through)?;
        agent.ready()?;
        Ok(agent)
    }

    fn address(&self) -> String {
        self.pod.v4().to_string()
    }
}

/// Sends one connection and gives back the span of each end, by these two agents.
fn one_of_each(
    from: &Place,
    to: SocketAddr,
    server: &Server,
    before: usize,
    agents: [&Agent; 2],
) -> Result<[Span; 2]> {
    let id = before as u64 + 1;
    let plan = Plan {
        to,
        first: id,
        ..Plan::default()
    };
    let sent = traffic::send(from, &plan)?;
    let received = server.counts(before + 1)?;
    let none = Default::default();
    let theirs = |ledger: &Ledger| ledger.has_ended(&none, &received);
    let client = agents[0].ledger_until("the client's end", |l| l.has_ended(&sent, &none))?;
    let server = agents[1].ledger_until("the server's end", theirs)?;
    let first = |spans: &[Span]| spans.first().cloned().context("a span");
    let received = received.get(&id).context("it was counted")?;
    Ok([
        first(client.client(&sent[&id]))?,
        first(server.server(received))?,
    ])
}

#[test]
fn both_ends_are_their_pods_and_the_service_is_what_was_asked() -> Result<()> {
    let test = "both_ends_are_their_pods_and_the_service_is_what_was_asked";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let mut one = Scene::new(&mut lab, "one", 1)?;
    let mut two = Scene::new(&mut lab, "two", 2)?;
    let address = SocketAddr::new(two.pod.v4(), lab.port(1));
    let asked = SocketAddr::new(lab.virtual_v4(1), 80);
    one.node.publish(asked, &[address])?;
    let objects = [
        (PODS, pod(&one.node, 1, "front", &one.address())),
        (PODS, pod(&two.node, 2, "db", &two.address())),
        (SERVICES, service(1, "shop-db", &asked.ip().to_string(), 80)),
        (
            SLICES,
            slice(1, "shop-db", 2, &two.address(), address.port()),
        ),
    ];
    let nodes = [one.node.clone(), two.node.clone()];
    for scene in [&mut one, &mut two] {
        for (n, node) in (1..).zip(&nodes) {
            scene.cluster.node(node, n)?;
        }
        for (resource, object) in &objects {
            scene.cluster.put(resource, object)?;
        }
    }
    let server = Server::start(&two.pod, address)?;
    let agents = [one.agent("first")?, two.agent("second")?];
    let [client, server] = one_of_each(&one.pod, asked, &server, 0, [&agents[0], &agents[1]])?;
    for (name, near, far) in [
        ("service.name", "front", "db"),
        ("k8s.namespace.name", "shop", "shop"),
        ("k8s.pod.name", "front-5f-1", "db-5f-2"),
        ("k8s.container.name", "main", "main"),
        ("k8s.node.name", "one", "two"),
    ] {
        assert_eq!(client.resource_text(name), near, "{name}: {client:#?}");
        assert_eq!(server.resource_text(name), far, "{name}: {server:#?}");
        assert_eq!(
            client.text(&format!("destination.{name}")),
            far,
            "{name}: {client:#?}"
        );
        assert_eq!(
            server.text(&format!("source.{name}")),
            near,
            "{name}: {server:#?}"
        );
    }
    assert_eq!(client.resource_text("k8s.statefulset.name"), "front");
    assert_eq!(
        client.resource_text("service.instance.id"),
        "shop.front-5f-1.main"
    );
    assert_eq!(client.text("destination.zone"), "zone-two");
    assert_eq!(server.text("source.k8s.workload.kind"), "StatefulSet");
    assert_eq!(client.text("destination.k8s.service.name"), "shop-db");
    assert_eq!(
        client.address("server"),
        Some(asked),
        "what was asked for stays"
    );
    assert_eq!(
        client.address("network.peer"),
        Some(address),
        "who answered"
    );
    assert_eq!(client.trace, server.trace);
    Ok(())
}

fn v4(address: SocketAddr) -> Result<SocketAddrV4> {
    match address {
        SocketAddr::V4(v4) => Ok(v4),
        SocketAddr::V6(_) => anyhow::bail!("{address} is no IPv4 address"),
    }
}

#[test]
fn a_load_balancer_inside_connect_leaves_the_only_service_of_the_backend() -> Result<()> {
    let test = "a_load_balancer_inside_connect_leaves_the_only_service_of_the_backend";
    let Some(mut lab) = Lab::to_judge(test, &["clang-14", "bpftool"])? else {
        return Ok(());
    };
    let mut one = Scene::new(&mut lab, "one", 1)?;
    let other = one.node.pod("db")?;
    let other = other.in_cgroup(&container(&one.node, 2))?;
    let (ip, port) = (other.v4().to_string(), lab.port(1));
    let address = SocketAddr::new(other.v4(), port);
    let asked = SocketAddr::new(lab.virtual_v4(1), 80);
    rewrite_connects(one.pod.cgroup(), &one.node, [v4(asked)?, v4(address)?])?;
    let node = one.node.clone();
    one.cluster.node(&node, 1)?;
    one.cluster
        .put(PODS, &pod(&node, 1, "front", &one.address()))?;
    one.cluster.put(PODS, &pod(&node, 2, "db", &ip))?;
    let virtual_ip = asked.ip().to_string();
    one.cluster
        .put(SERVICES, &service(1, "shop-db", &virtual_ip, 80))?;
    one.cluster
        .put(SLICES, &slice(1, "shop-db", 2, &ip, port))?;
    let server = Server::start(&other, address)?;
    let agent = one.agent("first")?;
    let [client, _] = one_of_each(&one.pod, asked, &server, 0, [&agent, &agent])?;
    assert_eq!(
        client.address("server"),
        Some(address),
        "the socket knows no other: {client:#?}"
    );
    assert_eq!(client.text("destination.k8s.service.name"), "shop-db");
    assert_eq!(client.text("destination.k8s.pod.name"), "db-5f-2");

    // Another Service has the same backend: it could have been either.
    one.cluster
        .put(SERVICES, &service(2, "also", "None", port))?;
    one.cluster.put(SLICES, &slice(2, "also", 2, &ip, port))?;
    let mut before = 1;
    tapetum_lab::until(
        "both Services to be known",
        std::time::Duration::from_secs(60),
        || {
            let [client, _] = one_of_each(&one.pod, asked, &server, before, [&agent, &agent])?;
            before += 1;
            assert_eq!(client.text("destination.k8s.pod.name"), "db-5f-2");
            let service = client.text("destination.k8s.service.name");
            Ok(service.is_empty().then_some(()))
        },
    )
}

#[test]
fn a_pod_that_the_api_server_tells_late_has_its_name_and_one_that_it_never_tells_has_none()
-> Result<()> {
    let test =
        "a_pod_that_the_api_server_tells_late_has_its_name_and_one_that_it_never_tells_has_none";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let mut one = Scene::new(&mut lab, "one", 1)?;
    let node = one.node.clone();
    one.cluster.node(&node, 1)?;
    let late = one.node.pod("late")?.in_cgroup(&container(&node, 3))?;
    let never = one.node.pod("never")?.in_cgroup(&container(&node, 4))?;
    let address = SocketAddr::new(one.pod.v4(), lab.port(1));
    let server = Server::start(&one.pod, address)?;
    one.cluster
        .put(PODS, &pod(&node, 1, "api", &one.address()))?;
    let agent = one.agent("first")?;

    let send = |from: &Pod, id| {
        let plan = Plan {
            to: address,
            first: id,
            ..Plan::default()
        };
        traffic::send(from, &plan)
    };
    let sent = send(&late, 1)?;
    one.cluster
        .put(PODS, &pod(&node, 3, "late", &late.v4().to_string()))?;
    let none = Default::default();
    let ledger = agent.ledger_until("the late pod's end", |l| l.has_ended(&sent, &none))?;
    let client = &ledger.client(&sent[&1])[0];
    assert_eq!(
        client.resource_text("k8s.pod.name"),
        "late-5f-3",
        "{client:#?}"
    );

    let sent = send(&never, 2)?;
    let ledger = agent.ledger_until("the end of nobody", |l| l.has_ended(&sent, &none))?;
    let client = &ledger.client(&sent[&2])[0];
    assert_eq!(client.resource_text("k8s.pod.name"), "", "{client:#?}");
    assert_eq!(
        client.resource_text("service.name"),
        "lab",
        "what this host says"
    );
    assert_eq!(client.text("destination.k8s.pod.name"), "api-5f-1");
    let labels = [("reason", "late")];
    agent.own_counter_until("tapetum_k8s_unnamed_total", &labels, 1.0)?;

    // The API server goes away: what was known stays known.
    one.cluster.down(true)?;
    let sent = send(&late, 3)?;
    let received = server.counts(3)?;
    let ledger = agent.ledger_until("ends without a cluster", |l| l.has_ended(&sent, &received))?;
    let client = &ledger.client(&sent[&3])[0];
    assert_eq!(client.resource_text("k8s.pod.name"), "late-5f-3");
    assert_eq!(client.text("destination.k8s.pod.name"), "api-5f-1");
    Ok(())
}
