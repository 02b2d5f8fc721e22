//! Several nodes on one kernel, as with kind: each a subtree of cgroups with its kubelet and its pods, and in
//! each an agent that is one of the pods.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::Result;
use tapetum_lab::{
    Agent, Count, Lab, Node, Pipelines, Place, Pod, Process, Server, Span, Talk, lab_program,
    traffic::{self, Plan},
    until,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The cgroup of a container of a pod, below its node's; `n` tells pods apart.
fn container(node: &Node, n: u64) -> String {
    format!(
        "{}/kubepods/burstable/pod{n:08x}-4e5f-6071-8293-a4b5c6d7e8f9/{n:064x}",
        node.name()
    )
}

/// A node with what a kubelet leaves of itself: daemons beside `kubepods`.
struct Scene {
    node: Node,
    pod: Pod,
    kubelet: Place,
    _daemon: Process,
}

impl Scene {
    fn new(lab: &mut Lab, name: &str, n: u64) -> Result<Self> {
        let node = lab.node(name)?;
        let pod = node.pod("shop")?;
        let pod = pod.in_cgroup(&container(&node, n))?;
        let kubelet = node.with_cgroup(&format!("{name}/daemons"))?;
        let daemon = kubelet.start("daemon", kubelet.command("sleep").arg("600"))?;
        Ok(Self {
            node,
            pod,
            kubelet,
            _daemon: daemon,
        })
    }

    /// An agent in a pod of its own on the node's network.
    fn agent(&self, name: &str, n: u64, pipelines: &Pipelines) -> Result<Agent> {
        let place = self.node.with_cgroup(&container(&self.node, n))?;
        Agent::start(&place, name, pipelines)
    }

    /// A process called `kubelet` that connects once.
    fn probe(&self, to: SocketAddr) -> Result<()> {
        let program = self.kubelet.dir().join("kubelet");
        if !program.exists() {
            fs::copy(lab_program()?, &program)?;
        }
        let program = program.display().to_string();
        let said = self
            .kubelet
            .run(&program, &["peer", "send", "--to", &to.to_string()])?;
        assert!(said.contains("fin-sent"), "{said}");
        Ok(())
    }
}

/// An end of a connection as it counted itself, and the agent that owes a span of it.
type Owed<'a> = (u64, Count, &'a Agent);

/// Whether some agent told the end of this one.
fn is_told((kind, count, _): &Owed, agents: &[&Agent]) -> Result<bool> {
    for agent in agents {
        let told = agent.spans()?.iter().any(|span| {
            span.kind == *kind
                && span.is_last()
                && span.address("network.local") == Some(count.local)
                && span.address("network.peer") == Some(count.peer)
        });
        if told {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Connections between the two nodes and within one, of pods and of host processes.
fn traffic<'a>(
    scenes: [&Scene; 2],
    agents: [&'a Agent; 2],
    servers: [&Server; 2],
) -> Result<Vec<Owed<'a>>> {
    let ([one, two], [first, second]) = (scenes, agents);
    let to = servers.map(Server::address);
    let mut owed = Vec::new();
    for (id, (from, to, agent)) in (2..).zip([
        (&*one.pod, to[1], first),
        (&*two.pod, to[0], second),
        (&*one.pod, to[0], first),
        (&one.kubelet, to[1], first),
        (&two.kubelet, to[1], second),
    ]) {
        let plan = Plan {
            to,
            first: id,
            ..Plan::default()
        };
        let sent = traffic::send(from, &plan)?.into_values();
        owed.extend(sent.map(|count| (Span::CLIENT, count, agent)));
    }
    // With the one that is older than the agents.
    for (server, agent, connections) in [(servers[0], first, 2), (servers[1], second, 4)] {
        let received = server.counts(connections)?.into_values();
        owed.extend(received.map(|count| (Span::SERVER, count, agent)));
    }
    Ok(owed)
}

#[test]
fn a_connection_is_reported_by_the_agent_of_its_node_only() -> Result<()> {
    let test = "a_connection_is_reported_by_the_agent_of_its_node_only";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let one = Scene::new(&mut lab, "one", 1)?;
    let two = Scene::new(&mut lab, "two", 2)?;
    let port = lab.port(1);
    let serve = |pod: &Pod| Server::start(pod, SocketAddr::new(pod.v4(), port));
    let servers = [serve(&one.pod)?, serve(&two.pod)?];
    let mut old = Talk::open(&one.pod, servers[1].address(), 1)?;
    old.exchange(10, 10)?;
    // Its own spans go through a connection that leaves the node, and nobody answers there as it should.
    let collector = SocketAddr::new(two.pod.v4(), lab.port(2));
    let _collector = Server::start(&two.pod, collector)?;
    let pipelines = Pipelines {
        spans_to: Some(format!("http://{collector}")),
        ..Pipelines::default()
    };
    let first = one.agent("first", 11, &pipelines)?;
    let second = two.agent("second", 12, &Pipelines::default())?;
    for (agent, node) in [(&first, "one"), (&second, "two")] {
        let knows = format!("what lives below /{}/{node}, because", lab.prefix());
        assert!(agent.log().contains(&knows), "{}", agent.log());
    }
    old.exchange(5, 5)?;
    let mut owed = vec![(Span::CLIENT, old.end("fin")?, &first)];
    owed.extend(traffic(
        [&one, &two],
        [&first, &second],
        [&servers[0], &servers[1]],
    )?);
    assert_eq!(owed.len(), 12);
    until("all ends", PATIENCE, || {
        for one in &owed {
            if !is_told(one, &[&first, &second])? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })?;

    for agent in [&first, &second] {
        let spans = agent.spans()?;
        let asked = |span: &&Span| span.address("server").map(|server| server.port());
        let told = spans
            .iter()
            .filter(|span| asked(span) == Some(port))
            .count();
        let due = owed
            .iter()
            .filter(|(_, _, by)| std::ptr::eq(*by, agent))
            .count();
        assert_eq!(told, due, "{spans:#?}");
        let other = [("reason", "other_node")];
        agent.own_counter_until("tapetum_records_filtered_total", &other, 1.0)?;
    }
    // Of the first agent's own connections only the end of the collector is told, on its node.
    let own = |span: &&Span| span.address("server") == Some(collector);
    let (near, far) = (first.spans()?, second.spans()?);
    assert_eq!(near.iter().filter(own).count(), 0, "{near:#?}");
    assert!(far.iter().filter(own).all(|span| span.kind == Span::SERVER));
    let own = [("reason", "self")];
    first.own_counter_until("tapetum_records_filtered_total", &own, 1.0)?;
    Ok(())
}

#[test]
fn what_the_kubelet_asks_pods_of_its_node_is_left_out() -> Result<()> {
    let test = "what_the_kubelet_asks_pods_of_its_node_is_left_out";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let one = Scene::new(&mut lab, "one", 1)?;
    let two = Scene::new(&mut lab, "two", 2)?;
    let at = |ip, n| SocketAddr::new(ip, lab.port(n));
    let near = Server::start(&one.pod, at(one.pod.v4(), 1))?;
    let far = Server::start(&two.pod, at(two.pod.v4(), 1))?;
    // A pod on the node's own network is asked at the loopback address.
    let host = one.node.with_cgroup(&container(&one.node, 3))?;
    let on_host = Server::start(&host, at([127, 0, 0, 1].into(), 2))?;
    let pipelines = Pipelines {
        receiver: "exclude = [\"kubelet-probes\"]".to_owned(),
        ..Pipelines::default()
    };
    let agent = one.agent("first", 11, &pipelines)?;
    for _ in 0..3 {
        one.probe(near.address())?;
        one.probe(on_host.address())?;
        one.probe(far.address())?;
    }
    // Two ends of six connections each, and the agents' own node has no more of them.
    let probes = [("reason", "kubelet-probes")];
    let counted = agent.own_counter_until("tapetum_records_filtered_total", &probes, 12.0)?;
    assert!(counted < 12.5, "{counted}");
    let told = |spans: &[Span], server| {
        let towards = spans
            .iter()
            .filter(|span| span.address("server") == Some(server));
        towards.count()
    };
    until("probes of another node", PATIENCE, || {
        Ok((told(&agent.spans()?, far.address()) >= 3).then_some(()))
    })?;
    let spans = agent.spans()?;
    assert_eq!(told(&spans, far.address()), 3, "{spans:#?}");
    for left_out in [near.address(), on_host.address()] {
        assert_eq!(told(&spans, left_out), 0, "{spans:#?}");
    }
    Ok(())
}
