//! One connection, one trace: two agents that never talk say the same of both of its ends.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use tapetum_lab::{
    Agent, Lab, Ledger, Pipelines, Server, Span, Talk,
    peer::Plan,
    tools::kernel_counter,
    traffic::{self, Count},
    until,
};

/// Both ends as one agent tells them: the client's span, the server's its child.
fn pair(ledger: &Ledger, here: &Count, there: &Count) -> (Span, Span) {
    let (client, server) = (ledger.client(here), ledger.server(there));
    assert!(!client.is_empty(), "no client's span of {here:?}");
    assert!(!server.is_empty(), "no server's span of {there:?}");
    let (client, server) = (client[0].clone(), server[0].clone());
    assert_eq!(
        client.trace, server.trace,
        "one trace: {client:#?} {server:#?}"
    );
    assert_eq!(
        server.parent, client.id,
        "the server's is the child of the client's"
    );
    assert_ne!(client.id, server.id);
    assert_eq!(client.trace.len(), 32);
    (client, server)
}

/// How far a span's times may be off the wall clock.
const RIGHT_TO_NS: u64 = 20_000_000;

fn now_ns() -> Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos())?)
}

#[test]
fn both_ends_of_a_translated_connection_are_one_trace() -> Result<()> {
    let test = "both_ends_of_a_translated_connection_are_one_trace";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let (near, far) = (lab.node("near")?, lab.node("far")?);
    let (client, server_pod) = (near.pod("client")?, far.pod("server")?);
    near.masquerade()?;
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let asked = SocketAddr::new(lab.virtual_v4(1), 80);
    near.publish(asked, &[address])?;
    let server = Server::start(&server_pod, address)?;

    // One connection is older than either agent.
    let mut old = Talk::open(&client, asked, 1)?;
    old.exchange(40_000, 30_000)?;
    let one = Agent::start(&near, "near", &Pipelines::default())?;
    let other = Agent::start(&far, "far", &Pipelines::default())?;
    let fresh = Plan {
        to: asked,
        first: 2,
        ..Plan::default()
    };
    let began_ns = now_ns()?;
    let mut sent = traffic::send(&client, &fresh)?;
    old.exchange(10, 20)?;
    sent.insert(1, old.end("fin")?);
    let received = server.counts(2)?;

    let mut told = Vec::new();
    for agent in [&one, &other] {
        let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
        for (id, here) in &sent {
            let (client, server) = pair(&ledger, here, &received[id]);
            for span in [&client, &server].into_iter().filter(|_| *id == 2) {
                let (start, end) = (span.start_ns + RIGHT_TO_NS, span.end_ns);
                assert!(began_ns <= start, "started before it was sent: {span:?}");
                assert!(end <= now_ns()? + RIGHT_TO_NS, "not over yet: {span:?}");
            }
            assert_eq!(client.address("server"), Some(asked), "what was asked for");
            assert_eq!(
                client.address("network.peer"),
                Some(address),
                "who answered"
            );
            assert_eq!(server.address("server"), Some(address), "its own");
            told.push((*id, client.trace, client.id, server.id));
        }
    }
    let (ones, others) = told.split_at(2);
    assert_eq!(ones, others, "two agents, the same ids");
    assert_ne!(ones[0].1, ones[1].1, "two connections, two traces");
    Ok(())
}

#[test]
fn an_older_connection_says_its_own_period_and_the_whole() -> Result<()> {
    let test = "an_older_connection_says_its_own_period_and_the_whole";
    let Some(mut lab) = Lab::to_judge(test, &[])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    let address = SocketAddr::new(server_pod.v6(), lab.port(1));
    let server = Server::start(&server_pod, address)?;
    let mut talk = Talk::open(&client, address, 1)?;
    let before = talk.exchange(500_000, 400_000)?;
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    talk.exchange(3_000, 2_000)?;
    let sent = [(1, talk.end("fin")?)].into();
    let received = server.counts(1)?;
    let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
    let here = &sent[&1];
    let (client, server) = pair(&ledger, here, &received[&1]);
    assert_eq!(client.count("flow.bytes.sent"), here.sent - before.sent);
    assert_eq!(
        client.count("flow.bytes.received"),
        here.received - before.received
    );
    assert_eq!(client.count("flow.bytes.sent.total"), here.sent);
    assert_eq!(client.count("flow.bytes.received.total"), here.received);
    assert_eq!(
        server.count("flow.bytes.sent"),
        here.received - before.received
    );
    assert_eq!(server.count("flow.bytes.received.total"), here.sent);
    Ok(())
}

/// Echoes twice what comes; takes data with a SYN.
const FAST_SERVER: &str = "
import socket, sys
server = socket.socket()
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen()
print('listening', flush=True)
while True:
    end, _ = server.accept()
    end.sendall(end.recv(1000) * 2)
    end.close()
";
/// Sends 500 bytes with each SYN, once it has the cookie for it; prints the ports that it had.
const FAST_CLIENT: &str = "
import socket, sys
for _ in range(3):
    end = socket.socket()
    end.sendto(b'x' * 500, socket.MSG_FASTOPEN, (sys.argv[1], int(sys.argv[2])))
    left = 1000
    while left:
        left -= len(end.recv(left))
    print(end.getsockname()[1])
    end.close()
";

#[test]
fn data_in_the_syn_changes_no_id_and_no_byte() -> Result<()> {
    let test = "data_in_the_syn_changes_no_id_and_no_byte";
    let Some(mut lab) = Lab::to_judge(test, &["nstat", "python3"])? else {
        return Ok(());
    };
    let node = lab.node("a")?;
    let (client, server_pod) = (node.pod("client")?, node.pod("server")?);
    for pod in [&client, &server_pod] {
        pod.sysctl(&["net/ipv4/tcp_fastopen=3"])?;
    }
    let agent = Agent::start(&node, "agent", &Pipelines::default())?;
    let address = SocketAddr::new(server_pod.v4(), lab.port(1));
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = server_pod.command("python3");
    let server = server_pod.start(
        "fast-server",
        command.args(["-c", FAST_SERVER, &host, &port]),
    )?;
    until("the server to listen", Duration::from_secs(10), || {
        Ok(server.output().contains("listening").then_some(()))
    })?;
    let ports = client.run("python3", &["-c", FAST_CLIENT, &host, &port])?;
    assert!(
        kernel_counter(&client, "TcpExtTCPFastOpenActive")? >= 2,
        "data left with the SYN"
    );

    for port in ports.lines() {
        let local = SocketAddr::new(client.v4(), port.parse()?);
        let here = Count {
            id: 1,
            local,
            peer: address,
            sent: 500,
            received: 1000,
            end: String::new(),
        };
        let there = Count {
            local: address,
            peer: local,
            ..here.clone()
        };
        let (sent, received) = ([(1, here.clone())].into(), [(1, there.clone())].into());
        let ledger = agent.ledger_until("both ends", |l| l.has_ended(&sent, &received))?;
        let (client, server) = pair(&ledger, &here, &there);
        for (span, out, back) in [(&client, 500, 1000), (&server, 1000, 500)] {
            assert_eq!(span.count("flow.bytes.sent"), out, "{span:#?}");
            assert_eq!(span.count("flow.bytes.received"), back, "{span:#?}");
        }
    }
    Ok(())
}
