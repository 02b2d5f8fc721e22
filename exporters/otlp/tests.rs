//! Each answer that a server can give, from one that speaks real HTTP/2.
//!
//! Long because the answers are many and one script language tells them all.

use std::time::Duration;

use h2::Reason;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use tapetum_model::Signal;
use tapetum_pipeline::{Context, Encoded, Export, Exporter, Outcome, Settings};
use tapetum_testkit::{context, contract, settings};

use super::build;
use super::server::{Reply, Server};

/// A table with all defaults filled in.
pub(super) fn values(endpoint: &str, more: &str) -> String {
    let text = format!("endpoint = \"{endpoint}\"\n{more}\n");
    let defaults = [
        ("protocol", "\"grpc\""),
        ("compression", "\"gzip\""),
        ("timeout", "\"10s\""),
        ("as", "\"span\""),
        ("community_id", "false"),
        ("temporality", "\"cumulative\""),
    ];
    defaults.iter().fold(text, |text, (key, value)| {
        if text
            .lines()
            .any(|line| line.starts_with(&format!("{key} = ")))
        {
            text
        } else {
            format!("{text}{key} = {value}\n")
        }
    })
}

pub(super) fn exporter(endpoint: &str, more: &str) -> Box<dyn Export> {
    made(&settings(&values(endpoint, more)), &context("otlp"))
}

pub(super) fn made(settings: &Settings, context: &Context) -> Box<dyn Export> {
    match build(settings, context) {
        Ok(Exporter::Push { export, .. }) => export,
        Ok(Exporter::Pull(_)) => panic!("it is sent to"),
        Err(why) => panic!("{why}"),
    }
}

pub(super) fn message(signal: Signal) -> Encoded {
    Encoded {
        signal,
        items: 3,
        bytes: vec![7; 100_000].into(),
    }
}

pub(super) fn delivered() -> Outcome {
    Outcome::Ok {
        rejected: 0,
        message: None,
    }
}

fn partial() -> Vec<u8> {
    let response = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    };
    response.encode_to_vec()
}

/// One message to a server that answers with this script: what became of it, and of how many
/// requests.
async fn one(script: Vec<Reply>, more: &str) -> (Outcome, usize) {
    let server = Server::start(script).await;
    let mut exporter = exporter(&server.endpoint, more);
    let outcome = exporter.export(message(Signal::Traces)).await;
    (outcome, server.seen().len())
}

#[tokio::test]
async fn each_signal_goes_to_its_service_as_it_is() {
    let server = Server::start([]).await;
    let mut exporter = exporter(
        &server.endpoint,
        "headers = { authorization = \"Bearer hush\" }",
    );
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        assert_eq!(exporter.export(message(signal)).await, delivered());
    }
    let seen = server.seen();
    let paths: Vec<_> = seen.iter().map(|request| &*request.path).collect();
    assert_eq!(
        paths,
        [
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ]
    );
    for request in &seen {
        assert_eq!(request.message, [7; 100_000]);
        assert_eq!(request.connection, 0, "one connection is enough");
        let header = |name| request.headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/grpc");
        assert_eq!(header("te"), "trailers");
        assert_eq!(header("grpc-encoding"), "gzip");
        assert_eq!(header("grpc-timeout"), "10000m");
        assert_eq!(header("user-agent"), "tapetum/0.0.0");
        assert_eq!(header("authorization"), "Bearer hush");
    }
}

#[tokio::test]
async fn a_try_that_is_cut_off_anywhere_leaves_nothing_half_done() {
    let server = Server::start([]).await;
    let mut exporter = exporter(&server.endpoint, "");
    for turns in [0, 1, 2, 3, 5, 8, 13, 100, 1000] {
        let message = message(Signal::Traces);
        let outcome = contract::interrupted(&mut *exporter, &message, turns).await;
        assert_eq!(outcome, delivered(), "after {turns} turns");
    }
    assert!(server.seen().len() >= 9);
}

#[tokio::test]
async fn a_large_message_passes_a_small_window() {
    let server = Server::start([]).await;
    for compression in ["none", "gzip", "zstd"] {
        let compression = format!("compression = \"{compression}\"");
        let mut exporter = exporter(&server.endpoint, &compression);
        let large = Encoded {
            signal: Signal::Traces,
            items: 1,
            bytes: vec![9; 4_000_000].into(),
        };
        assert_eq!(exporter.export(large).await, delivered());
        assert_eq!(server.seen()[0].message.len(), 4_000_000);
    }
}

#[tokio::test]
async fn a_message_in_pieces_arrives_whole() {
    let server = Server::start([]).await;
    for compression in ["none", "gzip", "zstd"] {
        let compression = format!("compression = \"{compression}\"");
        let mut exporter = exporter(&server.endpoint, &compression);
        let mut merged = message(Signal::Logs);
        merged.bytes.append(vec![8; 70_000].into());
        assert_eq!(exporter.export(merged.clone()).await, delivered());
        assert_eq!(server.seen()[0].message, merged.bytes.contiguous());
    }
}

#[tokio::test]
async fn what_is_refused_of_a_message_is_counted() {
    let expected = Outcome::Ok {
        rejected: 2,
        message: Some("too old".into()),
    };
    let gzipped = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &partial()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::bulk::compress(&partial(), 1).unwrap();
    for reply in [
        Reply::Message(partial()),
        Reply::Compressed("gzip", gzipped),
        Reply::Compressed("zstd", zstd),
    ] {
        assert_eq!(
            one(vec![reply.clone()], "").await,
            (expected.clone(), 1),
            "{reply:?}"
        );
    }
    let (outcome, _) = one(vec![Reply::Compressed("gzip", vec![1, 2, 3])], "").await;
    assert!(
        matches!(
            outcome,
            Outcome::Ok {
                rejected: 0,
                message: Some(_)
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn only_what_otlp_calls_retryable_is_retried() {
    for status in 1..=20 {
        let said = vec![("grpc-message", "no%20room%E2%9C%93".to_owned())];
        let (outcome, requests) = one(vec![Reply::Status(status, said)], "").await;
        assert_eq!(requests, 1);
        match outcome {
            Outcome::Retryable { after, message } => {
                assert!([1, 4, 10, 11, 14, 15].contains(&status), "{status}");
                assert_eq!(after, None);
                assert!(message.ends_with(": no room✓"), "{message}");
            }
            Outcome::Permanent { message } => {
                assert!(![1, 4, 10, 11, 14, 15].contains(&status), "{status}");
                assert!(message.ends_with(": no room✓"), "{message}");
            }
            Outcome::Ok { .. } => panic!("status {status} is no success"),
        }
    }
}

#[tokio::test]
async fn a_server_says_when_to_come_back() {
    let after = |said: Vec<(&'static str, String)>| async {
        match one(vec![Reply::Status(8, said)], "").await.0 {
            Outcome::Retryable { after, .. } => after,
            Outcome::Permanent { .. } => None,
            Outcome::Ok { .. } => panic!("not a success"),
        }
    };
    // google.rpc.Status { details: [RetryInfo { retry_delay: 2 s }] }, without padding.
    let details = "GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAI".to_owned();
    assert_eq!(
        after(vec![("grpc-status-details-bin", details)]).await,
        Some(Duration::from_secs(2))
    );
    assert_eq!(
        after(vec![("grpc-retry-pushback-ms", "1500".to_owned())]).await,
        Some(Duration::from_millis(1500))
    );
    assert_eq!(
        after(vec![("grpc-status-details-bin", "?".to_owned())]).await,
        None
    );
    assert_eq!(
        after(Vec::new()).await,
        None,
        "without a time it is permanent"
    );
    let never = vec![("grpc-retry-pushback-ms", "-1".to_owned())];
    let (outcome, _) = one(vec![Reply::Status(14, never)], "").await;
    assert!(matches!(outcome, Outcome::Permanent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_is_not_grpc_is_told_apart() {
    for (status, retryable) in [
        (401, false),
        (404, false),
        (429, true),
        (503, true),
        (500, false),
    ] {
        let (outcome, _) = one(vec![Reply::Http(status)], "").await;
        assert_eq!(
            matches!(outcome, Outcome::Retryable { .. }),
            retryable,
            "{status}: {outcome:?}"
        );
        assert!(format!("{outcome:?}").contains(&format!("HTTP status {status}")));
    }
}

#[tokio::test]
async fn a_refused_compression_is_replaced_and_remembered() {
    let refuse = |accepted: &str| {
        let fields = vec![("grpc-accept-encoding", accepted.to_owned())];
        Reply::Status(12, fields)
    };
    let server = Server::start([refuse("identity,gzip")]).await;
    let mut zstd = exporter(&server.endpoint, "compression = \"zstd\"");
    for _ in 0..2 {
        assert_eq!(zstd.export(message(Signal::Traces)).await, delivered());
    }
    let encodings: Vec<_> = server
        .seen()
        .iter()
        .map(|request| {
            request.headers["grpc-encoding"]
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(encodings, ["zstd", "gzip", "gzip"]);

    let said = "grpc: Decompressor is not installed for grpc-encoding \"zstd\"".to_owned();
    let (outcome, requests) = one(
        vec![
            Reply::Status(12, vec![("grpc-message", said)]),
            refuse("identity"),
        ],
        "compression = \"zstd\"",
    )
    .await;
    assert_eq!((outcome, requests), (delivered(), 3));
}

#[tokio::test]
async fn a_service_that_is_missing_is_no_matter_of_compression() {
    let said = vec![("grpc-message", "unknown service".to_owned())];
    let (outcome, requests) = one(vec![Reply::Status(12, said)], "compression = \"zstd\"").await;
    assert!(matches!(outcome, Outcome::Permanent { .. }), "{outcome:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_server_that_goes_away_is_found_again() {
    let server = Server::start([Reply::GoAway]).await;
    let mut exporter = exporter(&server.endpoint, "");
    for _ in 0..3 {
        assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    }
    let connections: Vec<_> = server
        .seen()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 1, 1]);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_on_a_known_connection() {
    let script = [
        Reply::Message(Vec::new()),
        Reply::Reset(Reason::REFUSED_STREAM),
    ];
    let server = Server::start(script).await;
    let mut exporter = exporter(&server.endpoint, "");
    for _ in 0..2 {
        assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_broken_connection_is_worth_another_try() {
    for reply in [Reply::Drop, Reply::Reset(Reason::INTERNAL_ERROR)] {
        let server = Server::start([reply.clone()]).await;
        let mut exporter = exporter(&server.endpoint, "");
        let outcome = exporter.export(message(Signal::Traces)).await;
        assert!(
            matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("broke")),
            "{reply:?}: {outcome:?}"
        );
        assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
        assert_eq!(server.seen().len(), 2, "nothing is sent twice unasked");
    }
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let server = Server::start([Reply::Hang]).await;
    let mut exporter = exporter(&server.endpoint, "timeout = \"250ms\"");
    let outcome = exporter.export(message(Signal::Traces)).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("250ms")),
        "{outcome:?}"
    );
    assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    let connections: Vec<_> = server
        .seen()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test]
async fn a_dead_connection_is_noticed_before_the_timeout() {
    let server = Server::start([Reply::Message(Vec::new()), Reply::Deaf]).await;
    let mut exporter = exporter(&server.endpoint, "timeout = \"1h\"");
    assert_eq!(exporter.export(message(Signal::Traces)).await, delivered());
    tokio::time::pause();
    let outcome = exporter.export(message(Signal::Traces)).await;
    assert!(
        matches!(&outcome, Outcome::Retryable { message, .. } if message.contains("ping")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_worth_another_try() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for host in ["127.0.0.1", "localhost"] {
        let mut exporter = exporter(&format!("http://{host}:{port}"), "");
        let outcome = exporter.export(message(Signal::Traces)).await;
        let said = format!("cannot connect to {host}:{port}");
        assert!(
            matches!(&outcome, Outcome::Retryable { message, .. } if message.starts_with(&said)),
            "{outcome:?}"
        );
    }
}
