//! Senders that mean harm or are broken, all at once, beside one that is well: it does not notice, memory stays in its
//! bounds, and the books balance.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::pass::{relay, spans};
use crate::sender::Sender;
use crate::sink::Sink;
use crate::{PATIENCE, until};

const WELL: usize = 300;
/// What the program may take beside the budget of its components: itself, its threads, debug information.
const OWN_BYTES: u64 = 48 << 20;

/// Opens a connection, says some bytes, and waits for its end.
async fn says(address: SocketAddr, bytes: Vec<u8>) {
    let Ok(mut tcp) = TcpStream::connect(address).await else {
        return;
    };
    let _ = tcp.write_all(&bytes).await;
    let mut rest = Vec::new();
    let _ = tcp.read_to_end(&mut rest).await;
}

/// Says a byte now and then, for as long as it is listened to.
async fn drips(address: SocketAddr, head: &'static str) {
    let Ok(mut tcp) = TcpStream::connect(address).await else {
        return;
    };
    let _ = tcp.write_all(head.as_bytes()).await;
    while tcp.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn bomb() -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&vec![0; 16 << 20]).expect("memory");
    gzip.finish().expect("memory")
}

fn post(path: &str, fields: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n{fields}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Everyone who is not well.
fn hostile(grpc: SocketAddr, http: SocketAddr) -> JoinSet<()> {
    let mut all = JoinSet::new();
    let bomb = bomb();
    let bomb = post(
        "/v1/traces",
        "content-encoding: gzip\r\n",
        bomb.len(),
        &bomb,
    );
    for _ in 0..20 {
        // Slow: nothing, a header that never ends, a body that never ends.
        all.spawn(says(grpc, Vec::new()));
        all.spawn(drips(http, "POST /v1/traces HTTP/1.1\r\nslow: "));
        all.spawn(drips(
            http,
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 4000000\r\n\r\n",
        ));
        // Cut off: a body that ends with its connection.
        all.spawn(async move {
            if let Ok(mut tcp) = TcpStream::connect(http).await {
                let cut = post("/v1/traces", "", 4_000_000, &[0; 100_000]);
                let _ = tcp.write_all(&cut).await;
            }
        });
        // Too long: as it says itself, or once it is decompressed.
        all.spawn(says(http, post("/v1/logs", "", 1 << 40, &[0; 1_000])));
        all.spawn(says(http, bomb.clone()));
        // No HTTP at all, and frames that say more than they are.
        all.spawn(says(grpc, vec![0xff; 100_000]));
        let frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\0\0\0\0\0\x01";
        all.spawn(says(grpc, frames.to_vec()));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_well_does_not_notice_who_is_not() {
    let sink = Sink::start().await;
    let file = relay(&sink, "").replace(
        "http = \"127.0.0.2:0\"",
        "http = \"127.0.0.2:0\"\ntimeout = \"2s\"\nmax_connections = 256",
    );
    let mut agent = Agent::start(&file);
    let (grpc, http) = (agent.address("grpc").await, agent.address("http").await);
    let sender = Sender::connect(grpc).await;
    let message = spans(50);
    assert_eq!(sender.send("trace", &message).await, "0");

    let mut hostile = hostile(grpc, http);
    let mut acknowledged = 1;
    while acknowledged < WELL {
        match &*sender.send("trace", &message).await {
            "0" => acknowledged += 1,
            // No room for bodies at this moment, with a hint; nothing else may happen.
            "8" | "14" => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("{other} after {acknowledged}"),
        }
    }
    let ends = async { while hostile.join_next().await.is_some() {} };
    let ended = tokio::time::timeout(PATIENCE, ends).await;
    assert!(ended.is_ok(), "all of them are sent away");

    let took = until("what was acknowledged", || {
        let took = sink.took();
        (took.len() >= acknowledged).then_some(took)
    });
    assert!(took.await.iter().all(|took| took.bytes == message));
    let (most, budget) = (agent.most_resident_bytes(), agent.budget_bytes());
    assert!(most < budget + OWN_BYTES, "{most} resident of {budget}");
    let page = agent.metrics().await;
    let items = (acknowledged * 50) as u64;
    for (name, expected) in [
        (
            "tapetum_records_in_total{component=\"otlp\",pipeline=\"relay\"}",
            items,
        ),
        ("tapetum_records_out_total{component=\"otlp\"}", items),
        ("tapetum_receive_connections{component=\"otlp\"}", 1),
    ] {
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|value| value.trim().parse::<f64>().ok());
        assert_eq!(value, Some(expected as f64), "{name} in {page}");
    }
    assert!(agent.stop().await, "{}", agent.log());
    assert_eq!(sink.took().len(), acknowledged);
}
