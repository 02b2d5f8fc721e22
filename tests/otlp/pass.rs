//! From one end of the program to the other.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::agent::Agent;
use crate::sender::Sender;
use crate::sink::{Message, Sink};
use crate::until;

/// From `otlp` to `otlp`.
pub(crate) fn relay(sink: &Sink, more: &str) -> String {
    format!(
        r#"
[service]
admin = "ADMIN"
[receivers.otlp]
grpc = "127.0.0.1:0"
http = "127.0.0.2:0"
[exporters.otlp]
endpoint = "http://{}"
compression = "none"
{more}
[pipelines.relay]
receivers = ["otlp"]
exporters = ["otlp"]
"#,
        sink.address
    )
}

/// Spans as a newer sender would write them: a field that nobody here knows is among them.
pub(crate) fn spans(n: u64) -> Vec<u8> {
    let span = |at: u64| Span {
        span_id: at.to_be_bytes().to_vec(),
        name: format!("span {at}"),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..n).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let mut bytes = request.encode_to_vec();
    bytes.extend([0xf2, 0x3f, 3, b'n', b'e', b'w']);
    bytes
}

fn logs(n: usize) -> Vec<u8> {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default(); n],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    request.encode_to_vec()
}

#[tokio::test]
async fn what_leaves_is_what_came_to_the_byte() {
    let sink = Sink::start().await;
    let mut agent = Agent::start(&relay(&sink, ""));
    let sender = Sender::connect(agent.address("grpc").await).await;
    let mut sent = Vec::new();
    for n in [1, 7, 400, 1_800] {
        for (signal, bytes) in [("trace", spans(n)), ("logs", logs(n as usize))] {
            assert_eq!(sender.send(signal, &bytes).await, "0");
            let signal = signal.to_owned();
            sent.push(Message { signal, bytes });
        }
    }
    assert_eq!(sender.send("trace", b"no protobuf").await, "3");
    let took = until("all of it", || {
        let took = sink.took();
        (took.len() >= sent.len()).then_some(took)
    });
    assert_eq!(took.await, sent);
    assert!(agent.stop().await, "{}", agent.log());
    assert_eq!(sink.took().len(), sent.len(), "and nothing else");
}

#[tokio::test]
async fn a_full_queue_is_told_and_what_was_acknowledged_arrives() {
    let sink = Sink::start().await;
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let file = relay(&sink, "queue = { size = \"64KiB\" }");
    let file = file.replace(&sink.address.to_string(), &nobody.to_string());
    let mut agent = Agent::start(&file);
    let sender = Sender::connect(agent.address("grpc").await).await;
    let message = spans(100);
    let mut acknowledged = 0;
    let refused = loop {
        match &*sender.send("trace", &message).await {
            "0" => acknowledged += 1,
            other => break other.to_owned(),
        }
        assert!(acknowledged < 1_000, "the queue never gets full");
    };
    assert_eq!(refused, "14", "come back");
    assert!(acknowledged > 0);
    // The backend comes up where it should be: what was said to be taken arrives, and nothing else.
    let sink = sink.also_at(nobody).await;
    let took = until("what was acknowledged", || {
        let took = sink.took();
        (took.len() >= acknowledged).then_some(took)
    })
    .await;
    assert!(took.iter().all(|took| took.bytes == message));
    assert!(agent.stop().await, "{}", agent.log());
    assert_eq!(sink.took().len(), acknowledged);
}
