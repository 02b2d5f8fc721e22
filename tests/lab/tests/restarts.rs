//! An agent that ends in the middle of a connection, asked to or killed, and one that takes over.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Result;
use tapetum_lab::{Agent, Lab, Node, Pipelines, Pod, Server, Talk, agent, figure, ledger::total};

/// Bytes that the three parts of the connection move: watched, unwatched, watched by the second agent.
const PARTS: [(u64, u64); 3] = [(100_000, 40_000), (20_000, 10_000), (3_000, 1_000)];

struct Scene {
    lab: Lab,
    node: Node,
    client: Pod,
    server: Pod,
}

impl Scene {
    fn set(test: &str) -> Result<Option<Self>> {
        let Some(mut lab) = Lab::to_judge(test, &[])? else {
            return Ok(None);
        };
        let node = lab.node("a")?;
        let (client, server) = (node.pod("client")?, node.pod("server")?);
        Ok(Some(Self {
            lab,
            node,
            client,
            server,
        }))
    }

    /// What the agent's metrics say was sent towards and from the lab's port.
    fn metered(&self, agent: &Agent) -> Result<f64> {
        let port = self.lab.port(1).to_string();
        let labels = [
            ("network_io_direction", "transmit"),
            ("server_port", port.as_str()),
        ];
        Ok(agent::sum(
            &agent.metrics()?,
            "network_flow_bytes_total",
            &labels,
        ))
    }

    fn judge(&self, orderly: bool) -> Result<()> {
        let address = SocketAddr::new(self.server.v4(), self.lab.port(1));
        let server = Server::start(&self.server, address)?;
        let mut first = Agent::start(&self.node, "first", &Pipelines::default())?;
        let mut talk = Talk::open(&self.client, address, 1)?;
        let watched = talk.exchange(PARTS[0].0, PARTS[0].1)?;
        let mut trace = None;
        let metered_first = self.metered(&first)?;
        if orderly {
            let asked = Instant::now();
            assert!(first.stop()?.success(), "{}", first.log());
            figure("SIGTERM to the end", asked.elapsed(), "1 s");
            let ledger = first.ledger_until("its last sweep", |_| true)?;
            let spans = ledger.client(&watched);
            assert_eq!(
                total(spans, "flow.bytes.sent"),
                watched.sent,
                "the period so far: {spans:#?}"
            );
            assert_eq!(total(spans, "flow.bytes.received"), watched.received);
            trace = Some(spans[0].trace.clone());
            assert!(
                spans.iter().all(|span| !span.is_last()),
                "without an end reason: {spans:#?}"
            );
        } else {
            first.kill()?;
        }

        let missed = talk.exchange(PARTS[1].0, PARTS[1].1)?;
        let (started, started_at) = (Instant::now(), SystemTime::now());
        let second = Agent::start(&self.node, "second", &Pipelines::default())?;
        figure("start to ready", started.elapsed(), "2 s");
        talk.exchange(PARTS[2].0, PARTS[2].1)?;
        let sent = [(1, talk.end("fin")?)].into();
        let received = server.counts(1)?;
        let ledger = second.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
        let (here, spans) = (&sent[&1], ledger.client(&sent[&1]));
        assert_eq!(
            total(spans, "flow.bytes.sent"),
            here.sent - missed.sent,
            "{spans:#?}"
        );
        assert_eq!(
            total(spans, "flow.bytes.received"),
            here.received - missed.received
        );
        // Of a connection older than the agent the first period begins with its adoption.
        let adopted = SystemTime::UNIX_EPOCH + Duration::from_nanos(spans[0].start_ns);
        let adoption = adopted.duration_since(started_at)?;
        figure("start to adoption", adoption, "0.5 s");
        let last = &spans[spans.len() - 1];
        assert_eq!(
            last.count("flow.bytes.sent.total"),
            here.sent,
            "what moved meanwhile is in it"
        );
        assert_eq!(last.count("flow.bytes.received.total"), here.received);

        assert_eq!(
            trace.as_ref().unwrap_or(&last.trace),
            &last.trace,
            "one trace, whoever watches"
        );

        let metered = metered_first + self.metered(&second)?;
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        let counted = (here.sent + here.received) as f64;
        assert!(metered <= counted, "{metered} metered of {counted}");
        Ok(())
    }
}

#[test]
fn asked_to_end() -> Result<()> {
    let Some(scene) = Scene::set("asked_to_end")? else {
        return Ok(());
    };
    scene.judge(true)
}

#[test]
fn killed() -> Result<()> {
    let Some(scene) = Scene::set("killed")? else {
        return Ok(());
    };
    scene.judge(false)
}
