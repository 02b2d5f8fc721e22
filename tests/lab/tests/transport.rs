//! What TCP did: retransmits as iperf3 and nstat count them, segments as `ss` does, the handshake by curl's clock.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tapetum_lab::{
    Agent, Curl, Iperf, Lab, Pipelines, Server, SocketInfo, Talk,
    ledger::total,
    tools::{kernel_counter, nginx, python},
    traffic::Count,
};

#[test]
fn retransmits_are_iperfs_and_nstats() -> Result<()> {
    let test = "retransmits_are_iperfs_and_nstats";
    let Some(mut lab) = Lab::to_judge(test, &["curl", "iperf3", "nstat"])? else {
        return Ok(());
    };
    let (near, far) = (lab.node("near")?, lab.node("far")?);
    let (client, server_pod) = (near.pod("client")?, far.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    // Loss ends well before the test does: what is resent after iperf3's last look would be no one's.
    near.on_forward(&format!(
        "tcp dport {} quota until 40 mbytes numgen random mod 100 < 1 drop",
        address.port()
    ))?;
    let agent = Agent::start(&near, "agent", &Pipelines::default())?;
    let _server = Iperf::serve(&server_pod, address.port())?;
    let run = Iperf::run(&client, address, &["--parallel", "2", "--bytes", "100M"])?;
    assert_eq!((run.ports.len(), run.retransmits.len()), (2, 2), "{run:?}");
    assert!(
        run.retransmits.iter().sum::<u64>() > 0,
        "the loss must have cost something: {run:?}"
    );

    let count = |port: u16| Count {
        id: 0,
        local: SocketAddr::new(client.v4(), port),
        peer: address,
        sent: 0,
        received: 0,
        end: String::new(),
    };
    let sent = run
        .ports
        .iter()
        .map(|port| (u64::from(*port), count(*port)))
        .collect();
    let ledger = agent.ledger_until("the streams' ends", |l| l.has_ended(&sent, &[].into()))?;
    for (port, retransmits) in run.ports.iter().zip(&run.retransmits) {
        let spans = ledger.client(&count(*port));
        assert_eq!(total(spans, "tcp.retransmits"), *retransmits, "{spans:#?}");
    }
    for pod in [&client, &server_pod] {
        // The control connection is one of them; it may end last.
        let wanted = kernel_counter(pod, "TcpRetransSegs")?;
        let told = |l: &tapetum_lab::Ledger| -> u64 {
            l.of_host(pod.v4())
                .iter()
                .map(|span| span.count("tcp.retransmits"))
                .sum()
        };
        let ledger = agent.ledger_until("the namespace's sum", |l| told(l) == wanted);
        assert_eq!(ledger.map(|l| told(&l)).ok(), Some(wanted));
    }
    Ok(())
}

#[test]
fn segments_are_those_of_ss() -> Result<()> {
    let Some(mut lab) = Lab::to_judge("segments_are_those_of_ss", &["curl", "ss"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    node.lose(lab.port(1), 1)?;
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let _server = Server::start(&server_pod, address)?;
    let pipelines = Pipelines {
        interval: "1s".to_owned(),
        ..Pipelines::default()
    };
    let agent = Agent::start(&node, "agent", &pipelines)?;
    let mut talk = Talk::open(&client, address, 1)?;
    let here = talk.exchange(3_000_000, 2_000_000)?;
    let there = Count {
        local: here.peer,
        peer: here.local,
        ..here.clone()
    };

    let judge = SocketInfo::of(&client, here.local.port())?.context("ss sees the client")?;
    let says = |spans: &[tapetum_lab::Span]| {
        (
            total(spans, "flow.packets.sent"),
            total(spans, "flow.packets.received"),
            total(spans, "tcp.retransmits"),
        )
    };
    let wanted = (judge.segments_out, judge.segments_in, judge.retransmits);
    let ledger = agent.ledger_until("the client's period", |l| says(l.client(&here)) == wanted);
    let ledger = ledger.or_else(|_| agent.ledger_until("spans", |_| true))?;
    assert_eq!(
        says(ledger.client(&here)),
        wanted,
        "{:#?}",
        ledger.client(&here)
    );

    let judge = SocketInfo::of(&server_pod, address.port())?.context("ss sees the server")?;
    let wanted = (judge.segments_out, judge.segments_in, judge.retransmits);
    assert_eq!(
        says(ledger.server(&there)),
        wanted,
        "{:#?}",
        ledger.server(&there)
    );
    talk.end("fin")?;
    Ok(())
}

#[test]
fn the_handshake_is_curls() -> Result<()> {
    let Some(mut lab) = Lab::to_judge("the_handshake_is_curls", &["curl", "nginx"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let _nginx = nginx(&server_pod, address)?;
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let url = format!("http://{address}/");

    let mut judged = vec![Curl::of(&client, &url)?, Curl::of(&client, &url)?];
    // The first SYN is lost: its successor comes a second later, and curl waits as long.
    node.on_forward(&format!(
        "tcp dport {} quota until 100 bytes drop",
        address.port()
    ))?;
    judged.push(Curl::of(&client, &url)?);
    assert!(judged[2].connect > 0.9, "{judged:?}");

    let counts = judged.iter().map(|times| {
        let local = SocketAddr::new(client.v4(), times.local_port);
        let count = Count {
            id: 0,
            local,
            peer: address,
            sent: 0,
            received: 0,
            end: String::new(),
        };
        (u64::from(times.local_port), count)
    });
    let sent = counts.collect();
    let ledger = agent.ledger_until("the requests", |l| l.has_ended(&sent, &[].into()))?;
    for times in judged {
        let span = &ledger.client(&sent[&u64::from(times.local_port)])[0];
        let handshake = span
            .seconds("tcp.handshake.duration")
            .context("no handshake")?;
        assert!(
            (handshake - times.connect).abs() < 0.001,
            "{handshake} {times:?}"
        );
        #[expect(clippy::cast_precision_loss, reason = "seconds as nanoseconds")]
        let lasted = (span.end_ns - span.start_ns) as f64 / 1e9;
        assert!((lasted - times.total).abs() < 0.1, "{lasted} {times:?}");
    }
    Ok(())
}

#[test]
fn a_web_page_is_as_long_as_curl_says() -> Result<()> {
    let tools = ["curl", "nginx", "python3"];
    let Some(mut lab) = Lab::to_judge("a_web_page_is_as_long_as_curl_says", &tools)? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let of_nginx = SocketAddr::new(server_pod.v6(), lab.port(1));
    let of_python = SocketAddr::new(server_pod.v4(), lab.port(2));
    let _nginx = nginx(&server_pod, of_nginx)?;
    let _python = python(&server_pod, of_python, 3_000_000)?;
    for (address, page) in [(of_nginx, ""), (of_python, "page")] {
        let judge = Curl::of(&client, &format!("http://{address}/{page}"))?;
        let here = if address.is_ipv6() {
            client.v6()
        } else {
            client.v4()
        };
        let (local, end) = (SocketAddr::new(here, judge.local_port), String::new());
        let count = Count {
            id: 1,
            local,
            peer: address,
            sent: 0,
            received: 0,
            end,
        };
        let sent = [(1, count.clone())].into();
        let ledger = agent.ledger_until("the request", |l| l.has_ended(&sent, &[].into()))?;
        let spans = ledger.client(&count);
        let told = (
            total(spans, "flow.bytes.sent"),
            total(spans, "flow.bytes.received"),
        );
        assert_eq!(told, (judge.sent, judge.received), "{spans:#?}");
    }
    Ok(())
}
