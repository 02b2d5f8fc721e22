//! Who the ends are on a plain host: a container, a unit, a bare process; never nobody.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Pipelines, Server,
    traffic::{self, Plan},
};

const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn an_end_is_its_container_unit_or_process() -> Result<()> {
    let test = "an_end_is_its_container_unit_or_process";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server) = (node.pod("client")?, node.pod("server")?);
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    // Cgroups that are made while the agent runs, as containers' are.
    for (index, path, name, container) in [
        (
            1,
            "system.slice/shop-web.service".to_owned(),
            "shop-web",
            "",
        ),
        (
            2,
            format!("system.slice/docker-{CONTAINER}.scope"),
            "lab",
            CONTAINER,
        ),
        (3, format!("docker/{CONTAINER}"), "lab", CONTAINER),
        (4, "plain".to_owned(), "lab", ""),
    ] {
        let server = server.in_cgroup(&format!("b/{path}"))?;
        let client = client.in_cgroup(&format!("c/{path}"))?;
        let address = SocketAddr::new(server.v4(), lab.port(index));
        let receiver = Server::start(&server, address)?;
        let sent = traffic::send(
            &client,
            &Plan {
                to: address,
                ..Plan::default()
            },
        )?;
        let received = receiver.counts(1)?;
        let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
        let (client, server) = (
            &ledger.client(&sent[&1])[0],
            &ledger.server(&received[&1])[0],
        );
        for span in [client, server] {
            let service = span.resource_text("service.name");
            assert_eq!(service, name, "{path}: {span:#?}");
            assert_eq!(
                span.resource_text("container.id"),
                container,
                "{path}: {span:#?}"
            );
            assert_eq!(
                span.text("process.executable.name"),
                "lab",
                "{path}: {span:#?}"
            );
        }
        assert_eq!(
            client.text("destination.service.name"),
            server.resource_text("service.name")
        );
        for peer in ["service.peer.name", "peer.service"] {
            assert_eq!(client.text(peer), server.resource_text("service.name"));
            assert_eq!(server.text(peer), "", "only a client's other end serves");
        }
        assert_eq!(
            server.text("source.service.name"),
            client.resource_text("service.name")
        );
        assert_eq!(server.count("process.pid"), u64::from(receiver.pid()));
    }
    Ok(())
}
