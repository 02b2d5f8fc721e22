//! Connections that fail, each with its reason, and those that only look as if they did.

use std::net::SocketAddr;

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Node, Pipelines, Pod, Server, Span,
    peer::{Ending, Plan},
    tools::kernel_counter,
    traffic,
};

struct Scene {
    lab: Lab,
    node: Node,
    client: Pod,
    server: Pod,
    agent: Agent,
}

impl Scene {
    fn set(test: &str) -> Result<Option<Self>> {
        let Some(mut lab) = Lab::to_judge(test, &["nstat"])? else {
            return Ok(None);
        };
        let node = lab.node("a")?;
        let (client, server) = (node.pod("client")?, node.pod("server")?);
        // A connect that nobody answers is given up after three seconds rather than two minutes.
        client.sysctl(&["net/ipv4/tcp_syn_retries=1"])?;
        let agent = Agent::start(&node, "agent", &Pipelines::default())?;
        Ok(Some(Self {
            lab,
            node,
            client,
            server,
            agent,
        }))
    }

    /// Tries to connect by curl and gives back the one span of it.
    fn attempt(&self, to: SocketAddr, curl_options: &[&str]) -> Result<Span> {
        let url = format!("http://{to}/");
        let mut arguments = vec!["-sS", "-o", "/dev/null"];
        arguments.extend(curl_options);
        arguments.push(&url);
        assert!(
            self.client.run("curl", &arguments).is_err(),
            "nothing answers at {to}"
        );
        self.span(to)
    }

    /// The same by a program that waits for the kernel's verdict. (curl does not: it takes an ICMP
    /// message that came early, which the kernel means to try again after, for the end, and gives up.)
    fn patient_attempt(&self, to: SocketAddr) -> Result<Span> {
        assert!(
            traffic::send(
                &self.client,
                &Plan {
                    to,
                    ..Plan::default()
                }
            )
            .is_err()
        );
        self.span(to)
    }

    fn span(&self, to: SocketAddr) -> Result<Span> {
        let ledger = self
            .agent
            .ledger_until("the failed connect", |l| !l.of_server(to).is_empty())?;
        let spans = ledger.of_server(to);
        assert_eq!(spans.len(), 1, "one attempt, one span: {spans:#?}");
        let span = spans[0].clone();
        assert_eq!(span.kind, Span::CLIENT);
        assert_eq!(
            span.count("flow.bytes.sent") + span.count("flow.bytes.received"),
            0,
            "{span:?}"
        );
        assert_eq!(span.parent, "");
        for unmeasured in ["tcp.rtt.smoothed", "tcp.rtt.min", "tcp.rtt.variance"] {
            assert_eq!(span.seconds(unmeasured), None, "{unmeasured}: {span:?}");
        }
        let said = span.attributes.iter();
        let zero: Vec<_> = said.filter(|(_, is)| is.as_f64() == Some(0.0)).collect();
        assert!(zero.is_empty(), "what is zero is left out: {zero:?}");
        Ok(span)
    }

    /// What the span says of the failure.
    fn reason(span: &Span) -> (bool, &str, &str) {
        (
            span.error,
            span.text("error.type"),
            span.text("tcp.end_reason"),
        )
    }
}

#[test]
fn refused() -> Result<()> {
    let Some(scene) = Scene::set("refused")? else {
        return Ok(());
    };
    for address in [scene.server.v4(), scene.server.v6()] {
        let span = scene.attempt(SocketAddr::new(address, scene.lab.port(1)), &[])?;
        assert_eq!(
            Scene::reason(&span),
            (true, "connection_refused", "rst_received")
        );
    }
    Ok(())
}

/// Where no socket answers, only the node's connection tracking knows who was asked in the end.
#[test]
fn behind_a_virtual_ip() -> Result<()> {
    let Some(scene) = Scene::set("behind_a_virtual_ip")? else {
        return Ok(());
    };
    let asked = |index| SocketAddr::new(scene.lab.virtual_v4(index), 80);
    let backend = |index| SocketAddr::new(scene.server.v4(), scene.lab.port(index));
    for index in [1, 2] {
        scene.node.publish(asked(index), &[backend(index)])?;
    }
    // Dropped where it arrives: what is dropped on the way is not tracked either.
    scene.server.nft(&format!(
        "add table ip deaf\nadd chain ip deaf in {{ type filter hook input priority 0; }}\n\
         add rule ip deaf in tcp dport {} drop\n",
        backend(1).port()
    ))?;
    let span = scene.attempt(asked(1), &[])?;
    assert_eq!(Scene::reason(&span), (true, "timeout", "timeout"));
    assert_eq!(span.address("network.peer"), Some(backend(1)), "{span:?}");

    // A refusal ends the tracking at once: nothing is left to ask, and nothing is guessed.
    let span = scene.attempt(asked(2), &[])?;
    assert_eq!(
        Scene::reason(&span),
        (true, "connection_refused", "rst_received")
    );
    assert_eq!(span.address("network.peer"), Some(asked(2)), "{span:?}");
    Ok(())
}

#[test]
fn timed_out() -> Result<()> {
    let Some(scene) = Scene::set("timed_out")? else {
        return Ok(());
    };
    let to = SocketAddr::new(scene.server.v4(), scene.lab.port(1));
    scene
        .node
        .on_forward(&format!("tcp dport {} drop", to.port()))?;
    let span = scene.attempt(to, &[])?;
    assert_eq!(Scene::reason(&span), (true, "timeout", "timeout"));
    let resent = kernel_counter(&scene.client, "TcpRetransSegs")?;
    assert!(resent > 0, "the SYN was sent again");
    assert_eq!(span.count("tcp.retransmits"), resent, "{span:?}");
    Ok(())
}

#[test]
fn cancelled() -> Result<()> {
    let Some(scene) = Scene::set("cancelled")? else {
        return Ok(());
    };
    let to = SocketAddr::new(scene.server.v4(), scene.lab.port(1));
    scene
        .node
        .on_forward(&format!("tcp dport {} drop", to.port()))?;
    let span = scene.attempt(to, &["--connect-timeout", "0.3"])?;
    assert_eq!(
        Scene::reason(&span),
        (false, "", "cancelled"),
        "giving up is no error"
    );
    Ok(())
}

#[test]
fn unreachable() -> Result<()> {
    let Some(scene) = Scene::set("unreachable")? else {
        return Ok(());
    };
    for (index, icmp, error) in [
        (1, "icmp type host-unreachable", "host_unreachable"),
        (2, "icmp type net-unreachable", "net_unreachable"),
    ] {
        let to = SocketAddr::new(scene.server.v4(), scene.lab.port(index));
        scene.node.on_forward(&format!(
            "ip daddr {} tcp dport {} reject with {icmp}",
            to.ip(),
            to.port()
        ))?;
        let span = scene.patient_attempt(to)?;
        assert!(span.error, "{span:?}");
        assert_eq!(span.text("error.type"), error);
    }
    let to = SocketAddr::new(scene.server.v6(), scene.lab.port(3));
    scene.node.on_forward(&format!(
        "tcp dport {} reject with icmpv6 type no-route",
        to.port()
    ))?;
    let span = scene.patient_attempt(to)?;
    assert_eq!(
        (span.error, span.text("error.type")),
        (true, "net_unreachable")
    );
    Ok(())
}

#[test]
fn reset() -> Result<()> {
    let Some(scene) = Scene::set("reset")? else {
        return Ok(());
    };
    for (index, ending, client_says, server_says) in [
        (
            1,
            Ending::ServerReset,
            (true, "reset", "rst_received"),
            "rst_sent",
        ),
        (
            2,
            Ending::Reset,
            (true, "reset", "rst_sent"),
            "rst_received",
        ),
        (3, Ending::Fin, (false, "", "fin"), "fin"),
    ] {
        let address = SocketAddr::new(scene.server.v4(), scene.lab.port(index));
        let server = Server::start(&scene.server, address)?;
        let sent = traffic::send(
            &scene.client,
            &Plan {
                to: address,
                ending,
                ..Plan::default()
            },
        )?;
        let received = server.counts(1)?;
        let ledger = scene
            .agent
            .ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
        let (client, server) = (
            &ledger.client(&sent[&1])[0],
            &ledger.server(&received[&1])[0],
        );
        assert_eq!(Scene::reason(client), client_says, "{ending:?}");
        let server_says = (client_says.0, client_says.1, server_says);
        assert_eq!(Scene::reason(server), server_says, "{ending:?}");
        assert_eq!(client.trace, server.trace, "one trace, however it ends");
    }
    Ok(())
}
