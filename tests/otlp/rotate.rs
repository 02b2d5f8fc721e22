//! Certificates that are replaced while senders are at work: none of them is refused, nothing is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tapetum_testkit::certificates::Authority;
use tapetum_tls::{Client, ClientTls, alpn};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::agent::Agent;
use crate::pass::{relay, spans};
use crate::sender::Sender;
use crate::sink::Sink;
use crate::until;

const ROTATIONS: usize = 30;
const SENDERS: usize = 4;
/// Requests over one connection, before a sender takes a new one.
const REQUESTS: usize = 5;

async fn sends(
    address: SocketAddr,
    client: Arc<Client>,
    enough: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) {
    let message = spans(5);
    while !enough.load(Ordering::Relaxed) {
        let tcp = TcpStream::connect(address).await.expect("it listens");
        let stream = client.connect("collector.test", tcp).await;
        let sender = Sender::over(stream.expect("it is believed, whichever it shows")).await;
        for _ in 0..REQUESTS {
            assert_eq!(sender.send("trace", &message).await, "0");
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load() {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let pair = authority.issue("server", "collector.test");
    let sink = Sink::start().await;
    let tls = format!("tls = {{ cert = {:?}, key = {:?} }}", pair.cert, pair.key);
    let file = relay(&sink, "").replace("[exporters.otlp]", &format!("{tls}\n[exporters.otlp]"));
    let mut agent = Agent::start(&file);
    let address = agent.address("grpc").await;
    let known = ClientTls {
        ca: Some(folder.path().join("authority.pem")),
        ..ClientTls::default()
    };
    let client = Arc::new(Client::open(&known, &[alpn::H2]).expect("good files"));
    let (enough, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let sends = sends(
                address,
                Arc::clone(&client),
                Arc::clone(&enough),
                Arc::clone(&acknowledged),
            );
            tokio::spawn(sends)
        })
        .collect();
    for rotation in 1..=ROTATIONS {
        // Certificate first, key second: for a moment they are no pair.
        authority.issue("server", "collector.test");
        let goal = rotation * SENDERS * REQUESTS / 2;
        let acknowledged = &acknowledged;
        until("senders go on", || {
            (acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }
    enough.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("no request failed");
    }
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    until("what was acknowledged", || {
        (sink.took().len() >= acknowledged).then_some(())
    })
    .await;
    let log = agent.log();
    assert!(log.contains("certificates were read again"), "{log}");
    assert!(agent.stop().await, "{}", agent.log());
    assert_eq!(sink.took().len(), acknowledged);
}
