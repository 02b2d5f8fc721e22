//! The same by TLS.

use std::time::Duration;

use prost::Message as _;
use tapetum_model::{Metric, OtlpSignal};
use tapetum_testkit::certificates::Authority;
use tapetum_tls::{Client, ClientTls, alpn};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::Otlp;
use super::sender::Sender;
use super::world::{PATIENCE, World, file, requests, spans};

#[tokio::test]
async fn all_that_listens_is_behind_tls_and_asks_for_certificates_if_told_to() {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let server = authority.issue("server", "collector.test");
    let agent = authority.issue("agent", "agent.test");
    let ca = folder.path().join("authority.pem");
    let tls = format!(
        "tls = {{ cert = {:?}, key = {:?}, client_ca = {ca:?} }}",
        server.cert, server.key
    );
    let world = World::start(&format!(
        "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.2:0\"\n{tls}"
    ));
    let known = ClientTls {
        ca: Some(ca.clone()),
        cert: Some(agent.cert),
        key: Some(agent.key),
        server_name: None,
    };
    let (signal, message, _) = &requests()[0];
    for (door, protocol) in [(0, alpn::H2), (1, alpn::H2), (1, alpn::HTTP1)] {
        let client = Client::open(&known, &[protocol]).expect("good files");
        let tcp = TcpStream::connect(world.addresses[door])
            .await
            .expect("it listens");
        let mut stream = client
            .connect("collector.test", tcp)
            .await
            .expect("it is known");
        if protocol == alpn::HTTP1 {
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                message.len()
            );
            stream.write_all(head.as_bytes()).await.expect("it is sent");
            stream.write_all(message).await.expect("it is sent");
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).await.expect("an answer");
            assert!(reply.starts_with(b"HTTP/1.1 200"), "{reply:?}");
            continue;
        }
        let sender = Sender::over(stream).await.expect("HTTP/2");
        if door == 0 {
            let reply = sender.export(*signal, message).await;
            assert_eq!(reply.status().0, "0");
            let long = spans(10_000).encode_to_vec();
            let reply = sender.export(OtlpSignal::Traces, &long).await;
            assert_eq!(reply.status().0, "0");
        } else {
            let fields = [("content-type", "application/x-protobuf")];
            let reply = sender.call("/v1/traces", &fields, &[message]).await;
            assert_eq!(reply.http.as_u16(), 200);
        }
    }
    assert_eq!(world.taken().len(), 4);
    let unknown = ClientTls {
        ca: Some(ca),
        ..ClientTls::default()
    };
    let client = Client::open(&unknown, &[alpn::H2]).expect("good files");
    let tcp = TcpStream::connect(world.addresses[0])
        .await
        .expect("it listens");
    // TLS 1.3 tells a client without a certificate only after its own handshake is done.
    if let Ok(stream) = client.connect("collector.test", tcp).await
        && let Ok(sender) = Sender::over(stream).await
    {
        let ended = tokio::time::timeout(PATIENCE, sender.driver).await;
        assert!(ended.expect("in time").expect("no panic").is_err());
    }
    world.counted(Metric::ReceiveTurnedAway, "tls", 1.0).await;
    assert_eq!(world.taken().len(), 4);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_connection() {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let pair = authority.issue("server", "collector.test");
    let tls = format!("tls = {{ cert = {:?}, key = {:?} }}", pair.cert, pair.key);
    let world = World::start(&format!("grpc = \"127.0.0.1:0\"\n{tls}"));
    let known = ClientTls {
        ca: Some(folder.path().join("authority.pem")),
        ..ClientTls::default()
    };
    let client = Client::open(&known, &[alpn::H2]).expect("good files");
    let connect = async || {
        let tcp = TcpStream::connect(world.addresses[0])
            .await
            .expect("it listens");
        let stream = client
            .connect("collector.test", tcp)
            .await
            .expect("it is believed");
        let shown = stream.get_ref().1.peer_certificates().expect("one")[0].to_vec();
        (shown, Sender::over(stream).await.expect("HTTP/2"))
    };
    let (first, old) = connect().await;
    std::fs::write(&pair.key, "no key").expect("a folder");
    assert_eq!(connect().await.0, first, "what was good stays in use");
    let note = || world.context.health.state().note;
    let noted = async |is_there: bool| {
        while note().is_some_and(|note| note.contains("server-key.pem")) != is_there {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, noted(true)).await;
    assert!(said.is_ok(), "{:?}", note());
    authority.issue("server", "collector.test");
    let (second, new) = connect().await;
    assert_ne!(first, second);
    let taken_back = tokio::time::timeout(PATIENCE, noted(false)).await;
    assert!(taken_back.is_ok(), "{:?}", note());
    let (signal, message, _) = &requests()[0];
    for sender in [old, new] {
        assert_eq!(sender.export(*signal, message).await.status().0, "0");
    }
}

#[test]
fn a_key_of_another_certificate_ends_the_start() {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new(folder.path(), "authority");
    let (one, other) = (
        authority.issue("one", "a.test"),
        authority.issue("other", "a.test"),
    );
    let tls = format!(
        "grpc = \"127.0.0.1:0\"\ntls = {{ cert = {:?}, key = {:?} }}",
        one.cert, other.key
    );
    let settings = tapetum_testkit::settings(&file(&tls));
    let config = settings.read().expect("a table that is right");
    let said = Otlp::new(config, tapetum_testkit::context("otlp")).map(drop);
    let said = said.expect_err("no pair").to_string();
    assert!(
        said.contains("give the two that were made together"),
        "{said}"
    );
}
