//! Ten thousand short connections in ten seconds: each exactly once at each end.

use std::{fs, net::SocketAddr, time::Instant};

use anyhow::{Context as _, Result};
use tapetum_lab::{
    Agent, Lab, Pipelines, Server, agent, figure, ledger::total, peer::Plan, traffic,
};

#[test]
fn each_short_connection_is_told_once_at_each_end() -> Result<()> {
    let test = "each_short_connection_is_told_once_at_each_end";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let (near, far) = (lab.node("near")?, lab.node("far")?);
    let (client, server_pod) = (near.pod("client")?, far.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let asked = SocketAddr::new(lab.virtual_v4(1), 80);
    near.publish(asked, &[address])?;
    let server = Server::start(&server_pod, address)?;
    let agent = Agent::start(&near, "agent", &Pipelines::default())?;
    let plan = Plan {
        to: asked,
        connections: 10_000,
        up: 300,
        down: 900,
        vary: 97,
        per_second: 1000,
        at_once: 16,
        ..Plan::default()
    };
    let (woken, began) = (wakes(&agent)?, Instant::now());
    let sent = traffic::send(&client, &plan)?;
    let (woken, took) = (wakes(&agent)? - woken, began.elapsed());
    let received = server.counts(sent.len())?;
    // Four records a connection; a wake-up takes in what gathered meanwhile.
    assert!(woken < sent.len() as u64 / 5, "{woken} wake-ups");
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let rate = woken as f64 / took.as_secs_f64();
    figure("wake-ups a second", rate, "50");

    let ends = 2 * sent.len();
    let whole = agent.ledger_until("20 000 ends", |l| l.has_ended(&sent, &received));
    let ledger = match whole {
        Ok(ledger) => ledger,
        Err(_) => agent.ledger_until("what there is", |_| true)?,
    };
    let mut told = 0;
    for (id, here) in &sent {
        let there = &received[id];
        for (count, spans) in [(here, ledger.client(here)), (there, ledger.server(there))] {
            assert!(spans.len() <= 1, "told twice: {spans:#?}");
            for _ in spans {
                assert_eq!(total(spans, "flow.bytes.sent"), count.sent);
                assert_eq!(total(spans, "flow.bytes.received"), count.received);
                told += 1;
            }
        }
    }
    if told < ends {
        // Other labs lose records too, if anyone does: the counter is the whole agent's.
        let lost = agent::sum(&agent.own_metrics()?, "tapetum_records_lost_total", &[]);
        #[expect(clippy::cast_precision_loss, reason = "twenty thousand")]
        let missing = (ends - told) as f64;
        assert!(
            missing <= lost,
            "{missing} of {ends} ends neither told nor counted lost ({lost})"
        );
    }
    figure("ends of short connections told", told, &ends.to_string());
    Ok(())
}

/// How often the thread that watches connections went to sleep so far.
fn wakes(agent: &Agent) -> Result<u64> {
    for task in fs::read_dir(format!("/proc/{}/task", agent.pid()))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "tapetum-tcp" {
            let status = fs::read_to_string(task.join("status"))?;
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            return Ok(count.context("it is counted")?.trim().parse()?);
        }
    }
    anyhow::bail!("no thread watches connections")
}
