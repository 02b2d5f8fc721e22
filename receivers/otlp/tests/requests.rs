//! OTLP over HTTP, as HTTP/1.1 and as HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;
use tapetum_model::{Metric, OtlpSignal};
use tapetum_pipeline::Answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::calls::compressed;
use super::sender::Sender;
use super::world::{PATIENCE, World, logs, points, requests, spans};

const HTTP_ONLY: &str = "http = \"127.0.0.1:0\"";
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// What came back over HTTP/1.1.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn field(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or("")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection of HTTP/1.1.
struct Plain(TcpStream);

impl Plain {
    async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Reply {
        let length = body.len().to_string();
        let mut all = fields.to_vec();
        all.push(("content-length", &length));
        self.send("POST", path, &all).await;
        // A sender that is refused early may not get rid of all of it.
        let _ = self.0.write_all(body).await;
        self.reply().await
    }

    async fn send(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: tapetum\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.0.write_all(head.as_bytes()).await.expect("it is sent");
    }

    async fn reply(&mut self) -> Reply {
        let reading = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("an answer"));
            }
            let head = String::from_utf8(head).expect("text");
            let mut reply = Reply {
                status: head[9..12].parse().expect("a status"),
                head,
                body: Vec::new(),
            };
            let length = reply.field("content-length").parse().unwrap_or(0);
            reply.body.resize(length, 0);
            self.0.read_exact(&mut reply.body).await.expect("a body");
            reply
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("in time")
    }
}

fn path(signal: OtlpSignal) -> &'static str {
    match signal {
        OtlpSignal::Traces => "/v1/traces",
        OtlpSignal::Metrics => "/v1/metrics",
        OtlpSignal::Logs => "/v1/logs",
    }
}

/// The requests of [`requests`], as JSON.
fn as_json() -> [Vec<u8>; 3] {
    let written = |json: Result<Vec<u8>, serde_json::Error>| json.expect("it is written");
    [
        written(serde_json::to_vec(&spans(3))),
        written(serde_json::to_vec(&points(4))),
        written(serde_json::to_vec(&logs(5))),
    ]
}

#[tokio::test]
async fn every_signal_is_taken_in_both_encodings_and_over_both_transports() {
    let world = World::start(HTTP_ONLY);
    let mut plain = Plain::connect(world.addresses[0]).await;
    let sender = Sender::connect(world.addresses[0]).await;
    for ((signal, message, items), json) in requests().into_iter().zip(as_json()) {
        for (content_type, body, answer) in [
            (PROTOBUF, &message, &b""[..]),
            (JSON, &json, b"{}"),
            (
                ("content-type", "Application/JSON; charset=utf-8"),
                &json,
                b"{}",
            ),
        ] {
            let reply = plain.post(path(signal), &[content_type], body).await;
            assert_eq!((reply.status, &reply.body[..]), (200, answer), "{reply:?}");
            let again = sender.call(path(signal), &[content_type], &[body]).await;
            assert_eq!((again.http.as_u16(), &again.body[..]), (200, answer));
            assert_eq!(again.field("content-type"), reply.field("content-type"));
            let taken = world.taken();
            for taken in &taken[taken.len() - 2..] {
                assert_eq!((taken.signal, taken.items), (signal, items));
                match content_type == PROTOBUF {
                    true => assert_eq!(taken.bytes, message, "as it came"),
                    false => assert_same(signal, &taken.bytes, &message),
                }
            }
        }
    }
    assert_eq!(world.count(Metric::ReceiveRequests, "ok"), 18.0);
}

/// JSON says each field, protobuf leaves out what is zero: what they say is the same.
fn assert_same(signal: OtlpSignal, left: &[u8], right: &[u8]) {
    fn read<T: prost::Message + Default>(bytes: &[u8]) -> T {
        T::decode(bytes).expect("protobuf")
    }
    use opentelemetry_proto::tonic::collector as proto;
    match signal {
        OtlpSignal::Traces => assert_eq!(
            read::<proto::trace::v1::ExportTraceServiceRequest>(left),
            read(right)
        ),
        OtlpSignal::Metrics => assert_eq!(
            read::<proto::metrics::v1::ExportMetricsServiceRequest>(left),
            read(right)
        ),
        OtlpSignal::Logs => assert_eq!(
            read::<proto::logs::v1::ExportLogsServiceRequest>(left),
            read(right)
        ),
    }
}

#[tokio::test]
async fn long_and_compressed_bodies_are_taken() {
    let world = World::start(HTTP_ONLY);
    let mut plain = Plain::connect(world.addresses[0]).await;
    let long = spans(8_000).encode_to_vec();
    let reply = plain.post("/v1/traces", &[PROTOBUF], &long).await;
    assert_eq!(reply.status, 200);
    for (encoding, body) in compressed(&long) {
        let fields = [PROTOBUF, ("content-encoding", encoding)];
        let reply = plain.post("/v1/traces", &fields, &body).await;
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.text());
    }
    let (_, json) = (0, serde_json::to_vec(&spans(2_000)).expect("it is written"));
    let (encoding, body) = &compressed(&json)[0];
    let fields = [JSON, ("content-encoding", encoding)];
    assert_eq!(plain.post("/v1/traces", &fields, body).await.status, 200);
    let taken = world.taken();
    assert!(taken[..4].iter().all(|taken| taken.bytes == long));
    assert_eq!(taken[4].items, 2_000);
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let world = World::start(HTTP_ONLY);
    let mut plain = Plain::connect(world.addresses[0]).await;
    let message = requests()[0].1.clone();
    let fields = [PROTOBUF, ("transfer-encoding", "chunked")];
    plain.send("POST", "/v1/traces", &fields).await;
    for piece in message.chunks(7) {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        plain.0.write_all(&chunk).await.expect("it is sent");
    }
    plain.0.write_all(b"0\r\n\r\n").await.expect("it is sent");
    assert_eq!(plain.reply().await.status, 200);
    assert_eq!(world.taken()[0].bytes, message);
}

const SMALL: &str = "http = \"127.0.0.1:0\"\nmax_message = \"64KiB\"";

/// Posts, and expects a no for good: its status, its code of gRPC, and these words in it.
async fn is_refused(
    world: &World,
    (path, fields): (&str, &[(&str, &str)]),
    body: &[u8],
    (status, code, says): (u16, u8, &str),
) {
    let mut plain = Plain::connect(world.addresses[0]).await;
    let reply = plain.post(path, fields, body).await;
    assert_eq!(reply.status, status, "{path} {fields:?} {reply:?}");
    match fields.contains(&PROTOBUF) {
        true => assert_eq!(&reply.body[..2], [8, code], "a code of gRPC"),
        false => {
            let begin = format!("{{\"code\":{code},");
            assert!(reply.text().starts_with(&begin), "{reply:?}");
        }
    }
    assert!(reply.text().contains(says), "{says}: {reply:?}");
    assert_eq!(reply.field("retry-after"), "");
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_in_the_words_of_the_request() {
    let world = World::start(SMALL);
    let message = requests()[0].1.clone();
    let gzip = [PROTOBUF, ("content-encoding", "gzip")];
    for (path, fields, body, says) in [
        (
            "/v1/traces",
            &[PROTOBUF][..],
            &message[1..],
            "malformed protobuf",
        ),
        (
            "/v1/traces",
            &[JSON],
            b"{\"resourceSpans\":7}",
            "a list is missing",
        ),
        ("/v1/logs", &[JSON], b"", "an object is missing"),
        ("/v1/traces", &gzip, &message, "cannot be decompressed"),
    ] {
        is_refused(&world, (path, fields), body, (400, 3, says)).await;
    }
    assert_eq!(world.taken(), []);
}

#[tokio::test]
async fn what_is_not_read_here_is_refused() {
    let world = World::start(SMALL);
    let message = requests()[0].1.clone();
    let brotli = [PROTOBUF, ("content-encoding", "br")];
    let text = [("content-type", "text/plain")];
    for (path, fields, status, says) in [
        (
            "/v1/traces",
            &brotli[..],
            415,
            "`br` is not decompressed here",
        ),
        ("/v1/traces", &text, 415, "send `content-type"),
        ("/v1/traces", &[], 415, "send `content-type"),
        (
            "/v1/profiles",
            &[PROTOBUF],
            404,
            "there are only /v1/traces",
        ),
    ] {
        is_refused(&world, (path, fields), &message, (status, 12, says)).await;
    }
    let mut plain = Plain::connect(world.addresses[0]).await;
    plain.send("GET", "/v1/traces", &[]).await;
    let reply = plain.reply().await;
    assert_eq!((reply.status, reply.field("allow")), (405, "POST"));
    assert_eq!(world.taken(), []);
}

#[tokio::test]
async fn what_is_too_long_before_or_after_is_refused() {
    let world = World::start(SMALL);
    let bomb = &compressed(&vec![b' '; 16 << 20])[0].1;
    let says = (413, 8, "raise `max_message`");
    is_refused(&world, ("/v1/traces", &[PROTOBUF]), &[0; 70_000], says).await;
    let fields = [JSON, ("content-encoding", "gzip")];
    is_refused(&world, ("/v1/traces", &fields), bomb, says).await;
    assert_eq!(world.count(Metric::ReceiveRequests, "too_large"), 2.0);
}

#[tokio::test]
async fn a_full_queue_is_said_with_the_time_to_come_back() {
    let after = Duration::from_millis(2_500);
    let world = World::answering(HTTP_ONLY, move |_| Answer::Refused { after });
    let mut plain = Plain::connect(world.addresses[0]).await;
    let reply = plain
        .post("/v1/traces", &[PROTOBUF], &requests()[0].1)
        .await;
    assert_eq!((reply.status, reply.field("retry-after")), (429, "3"));
    assert_eq!(
        tapetum_otlp::response::retry_delay(&reply.body),
        Some(after)
    );
    let reply = plain.post("/v1/traces", &[JSON], &as_json()[0]).await;
    assert_eq!((reply.status, reply.field("retry-after")), (429, "3"));
    assert!(
        reply.text().contains("\"retryDelay\":\"2.5s\""),
        "{reply:?}"
    );
}

#[tokio::test]
async fn one_port_takes_both_ways_and_two_ports_one_each() {
    let grpc = super::sender::path(OtlpSignal::Traces);
    let message = requests()[0].1.clone();
    let framed = super::sender::framed(0, &message);
    let fields = super::sender::GRPC;
    let both = World::start("grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"");
    let free = both.addresses[0];
    assert_eq!(both.addresses.len(), 1);
    let sender = Sender::connect(free).await;
    assert_eq!(sender.call(grpc, &fields, &[&framed]).await.status().0, "0");
    let reply = sender.call("/v1/traces", &[PROTOBUF], &[&message]).await;
    assert_eq!(reply.http.as_u16(), 200);
    let reply = Plain::connect(free)
        .await
        .post("/v1/traces", &[PROTOBUF], &message)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(both.taken().len(), 3);

    let two = World::start("grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.2:0\"");
    let sender = Sender::connect(two.addresses[0]).await;
    let reply = sender.call("/v1/traces", &[PROTOBUF], &[&message]).await;
    assert_eq!(reply.http.as_u16(), 415, "only gRPC");
    let sender = Sender::connect(two.addresses[1]).await;
    let reply = sender.call(grpc, &fields, &[&framed]).await;
    assert_eq!(reply.http.as_u16(), 404, "only HTTP");
    let mut plain = TcpStream::connect(two.addresses[0])
        .await
        .expect("it listens");
    plain
        .write_all(b"POST /v1/traces HTTP/1.1\r\n\r\n")
        .await
        .expect("it is sent");
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut rest)).await;
    assert!(end.is_ok() && rest.is_empty(), "{rest:?}");
    assert_eq!(two.taken(), []);
}

#[tokio::test]
async fn a_stop_lets_a_request_be_answered_and_closes() {
    let world = World::start(HTTP_ONLY);
    let message = requests()[0].1.clone();
    let mut idle = Plain::connect(world.addresses[0]).await;
    assert_eq!(
        idle.post("/v1/traces", &[PROTOBUF], &message).await.status,
        200
    );
    let mut plain = Plain::connect(world.addresses[0]).await;
    let length = message.len().to_string();
    let fields = [
        PROTOBUF,
        ("content-length", &*length),
        ("expect", "100-continue"),
    ];
    plain.send("POST", "/v1/traces", &fields).await;
    assert_eq!(plain.reply().await.status, 100, "it is being read");
    world.ask_to_stop();
    plain.0.write_all(&message).await.expect("it is sent");
    let reply = plain.reply().await;
    assert_eq!(reply.status, 200);
    for mut tcp in [plain.0, idle.0] {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "it is closed");
    }
    assert_eq!(world.stopped().await.len(), 2);
}
