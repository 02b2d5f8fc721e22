//! Payload to the byte: what the agent says of each end equals what the counting peers say, whatever
//! happens on the way.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Node, Pipelines, Pod, Server,
    ledger::total,
    peer::{Ending, Plan},
    traffic,
};

/// A client's pod and a server's on two nodes, the first of which hides its pods, and an agent on it.
struct Scene {
    lab: Lab,
    near: Node,
    client: Pod,
    server: Pod,
    agent: Agent,
}

impl Scene {
    fn set(test: &str) -> Result<Option<Self>> {
        let Some(mut lab) = Lab::to_judge(test, &[])? else {
            return Ok(None);
        };
        let (near, far) = (lab.node("near")?, lab.node("far")?);
        let (client, server) = (near.pod("client")?, far.pod("server")?);
        near.masquerade()?;
        let agent = Agent::start(&near, "agent", &Pipelines::default())?;
        Ok(Some(Self {
            lab,
            near,
            client,
            server,
            agent,
        }))
    }

    /// Carries out a plan against a server behind a virtual IP and compares all four counters of
    /// every connection.
    fn judge(&self, server: SocketAddr, asked: SocketAddr, plan: Plan) -> Result<()> {
        if asked != server {
            self.near.publish(asked, &[server])?;
        }
        self.compare(&Server::start(&self.server, server)?, asked, plan)
    }

    fn compare(&self, receiver: &Server, asked: SocketAddr, plan: Plan) -> Result<()> {
        let sent = traffic::send(&self.client, &Plan { to: asked, ..plan })?;
        let received = receiver.counts(sent.len())?;
        let ledger = self
            .agent
            .ledger_until("the ends of all connections", |l| {
                l.has_ended(&sent, &received)
            })?;
        for (id, here) in &sent {
            let there = &received[id];
            assert_eq!(
                (here.sent, here.received),
                (there.received, there.sent),
                "the peers disagree"
            );
            let (client, server) = (ledger.client(here), ledger.server(there));
            let said = |spans| {
                (
                    total(spans, "flow.bytes.sent"),
                    total(spans, "flow.bytes.received"),
                )
            };
            assert_eq!(
                said(client),
                (here.sent, here.received),
                "client of {here:?}: {client:#?}"
            );
            assert_eq!(
                said(server),
                (there.sent, there.received),
                "server of {there:?}: {server:#?}"
            );
            for span in client.iter().chain(server) {
                assert_eq!(
                    span.scope["tapetum.window.lost"], 0,
                    "nothing was lost: {span:?}"
                );
            }
        }
        Ok(())
    }

    fn v4(&self, index: u8) -> (SocketAddr, SocketAddr) {
        let port = self.lab.port(index);
        (
            SocketAddr::new(self.server.v4(), port),
            SocketAddr::new(self.lab.virtual_v4(index), port),
        )
    }

    fn v6(&self, index: u8) -> (SocketAddr, SocketAddr) {
        let port = self.lab.port(index);
        (
            SocketAddr::new(self.server.v6(), port),
            SocketAddr::new(self.lab.virtual_v6(index), port),
        )
    }
}

/// Some of each size: less than a segment, some segments, many buffers.
fn some(ending: Ending) -> Plan {
    Plan {
        connections: 6,
        up: 1_500_000,
        down: 700_000,
        vary: 5,
        at_once: 3,
        ending,
        ..Plan::default()
    }
}

#[test]
fn through_a_virtual_ip_and_a_masquerade() -> Result<()> {
    let Some(scene) = Scene::set("through_a_virtual_ip_and_a_masquerade")? else {
        return Ok(());
    };
    let (server, asked) = scene.v4(1);
    scene.judge(server, asked, some(Ending::Fin))
}

#[test]
fn over_ipv6() -> Result<()> {
    let Some(scene) = Scene::set("over_ipv6")? else {
        return Ok(());
    };
    let (server, asked) = scene.v6(1);
    scene.judge(server, asked, some(Ending::ServerFin))
}

#[test]
fn over_ipv4_to_a_listener_of_both_families() -> Result<()> {
    let test = "over_ipv4_to_a_listener_of_both_families";
    let Some(scene) = Scene::set(test)? else {
        return Ok(());
    };
    let (server, _) = scene.v4(1);
    let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), server.port());
    scene.compare(
        &Server::start(&scene.server, any)?,
        server,
        some(Ending::Fin),
    )
}

#[test]
fn however_it_ends() -> Result<()> {
    let Some(scene) = Scene::set("however_it_ends")? else {
        return Ok(());
    };
    for (index, (_, ending)) in (1..).zip(Ending::NAMES) {
        let (server, asked) = scene.v4(index);
        scene.judge(server, asked, some(ending))?;
    }
    Ok(())
}

#[test]
fn under_loss_on_the_way() -> Result<()> {
    let Some(scene) = Scene::set("under_loss_on_the_way")? else {
        return Ok(());
    };
    let (server, asked) = scene.v4(1);
    scene.near.lose(server.port(), 2)?;
    scene.judge(server, asked, some(Ending::Fin))?;
    let retransmits = tapetum_lab::tools::kernel_counter(&scene.client, "TcpRetransSegs")?;
    assert!(retransmits > 0, "the loss must have cost something");
    Ok(())
}

#[test]
fn under_drops_in_the_senders_own_output() -> Result<()> {
    let test = "under_drops_in_the_senders_own_output";
    let Some(scene) = Scene::set(test)? else {
        return Ok(());
    };
    let (server, asked) = scene.v4(1);
    // What is dropped here was never sent, and the kernel's count of sent bytes holds it all the same.
    scene.client.nft(&format!(
        "add table ip own\nadd chain ip own out {{ type filter hook output priority 0; }}\n\
         add rule ip own out tcp dport {} numgen random mod 100 < 3 drop\n",
        asked.port()
    ))?;
    scene.judge(server, asked, some(Ending::Fin))
}

#[test]
fn many_bytes_in_one_connection() -> Result<()> {
    let Some(scene) = Scene::set("many_bytes_in_one_connection")? else {
        return Ok(());
    };
    let (server, asked) = scene.v4(1);
    // More than 32 bits count.
    let plan = Plan {
        up: 5_000_000_000,
        down: 1,
        ..Plan::default()
    };
    scene.judge(server, asked, plan)
}
