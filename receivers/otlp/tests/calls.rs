//! Calls of gRPC that are taken, and those that are not.

use std::io::Write as _;
use std::time::Duration;

use flate2::write::{GzEncoder, ZlibEncoder};
use tapetum_model::{Metric, OtlpSignal};
use tapetum_pipeline::Answer;

use super::sender::{GRPC, Sender, framed, path};
use super::world::{World, requests};

const GRPC_ONLY: &str = "grpc = \"127.0.0.1:0\"";

#[tokio::test]
async fn every_signal_is_taken_as_it_came_and_counted() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    for (signal, message, items) in requests() {
        let reply = sender.export(signal, &message).await;
        assert_eq!((reply.http.as_u16(), reply.status()), (200, ("0", "")));
        assert_eq!(reply.body, [0; 5], "an empty response");
        let taken = world.taken().pop().expect("it was handed over");
        assert_eq!((taken.signal, taken.items), (signal, items));
        assert_eq!(taken.bytes, message);
        assert_eq!(taken.peer, "127.0.0.1");
    }
    assert_eq!(world.count(Metric::ReceiveRequests, "ok"), 3.0);
}

#[tokio::test]
async fn how_a_body_is_cut_does_not_matter() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let long = super::world::spans(2_000);
    let long = prost::Message::encode_to_vec(&long);
    for (message, steps) in [
        (&requests()[0].1, [1, 2, 5, 7]),
        (&long, [500, 4_096, 60_000, 100_000]),
    ] {
        let body = framed(0, message);
        for step in steps {
            let pieces: Vec<&[u8]> = body.chunks(step).collect();
            let reply = sender.call(path(OtlpSignal::Traces), &GRPC, &pieces).await;
            assert_eq!(reply.status(), ("0", ""));
            assert_eq!(
                &world.taken().pop().expect("it came").bytes,
                message,
                "{step}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_compressed_is_taken_as_it_was_before() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let long = prost::Message::encode_to_vec(&super::world::spans(5_000));
    for message in [&requests()[0].1, &long] {
        for (encoding, body) in compressed(message) {
            let fields = [GRPC[0], GRPC[1], ("grpc-encoding", encoding)];
            let reply = sender
                .call(path(OtlpSignal::Traces), &fields, &[&framed(1, &body)])
                .await;
            assert_eq!(reply.status(), ("0", ""), "{encoding}");
            let taken = world.taken().pop().expect("it came");
            assert_eq!(&taken.bytes, message, "{encoding}");
        }
    }
    let fields = [GRPC[0], GRPC[1], ("grpc-encoding", "gzip")];
    let plain = framed(0, &long);
    let reply = sender
        .call(path(OtlpSignal::Traces), &fields, &[&plain])
        .await;
    assert_eq!(reply.status(), ("0", ""), "a message may be left as it is");
}

/// A message in every compression that is read.
pub(super) fn compressed(message: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(message).expect("memory");
    let mut deflate = ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    deflate.write_all(message).expect("memory");
    let zstd = zstd::stream::encode_all(message, 3).expect("memory");
    [
        ("gzip", gzip.finish().expect("memory")),
        ("deflate", deflate.finish().expect("memory")),
        ("zstd", zstd),
    ]
}

#[tokio::test]
async fn a_request_without_items_is_taken_and_nothing_is_handed_over() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let reply = sender.export(OtlpSignal::Logs, b"").await;
    assert_eq!(reply.status(), ("0", ""));
    assert_eq!(world.taken(), []);
}

/// Calls with `body`, and expects a no for good with this code and these words in it.
async fn is_refused(sender: &Sender, path: &str, fields: &[(&str, &str)], body: &[u8], says: &str) {
    let reply = sender.call(path, fields, &[body]).await;
    assert_eq!(reply.http.as_u16(), 200);
    let (code, message) = reply.status();
    assert_eq!(code, "3", "{message}");
    assert!(message.contains(says), "{message} / {says}");
    assert_eq!(reply.retry_after(), None);
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_for_good_and_never_handed_over() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let (traces, message) = (path(OtlpSignal::Traces), requests()[0].1.clone());
    let cut = framed(0, &message[..message.len() - 1]);
    let whole = framed(0, &message);
    let twice = [&whole[..], &whole].concat();
    let metrics = path(OtlpSignal::Metrics);
    for (path, body, says) in [
        (traces, &cut[..], "a length reaches beyond"),
        (
            traces,
            &framed(0, b"\xff\xff"),
            "malformed protobuf at byte",
        ),
        (metrics, &whole, "malformed protobuf"),
        (traces, &whole[..9], "bytes were announced and 4 came"),
        (traces, &twice, "bytes were announced and"),
        (traces, &whole[..3], "ends before its message"),
        (traces, b"", "ends before its message"),
        (traces, &framed(1, &message), "without a `grpc-encoding`"),
    ] {
        is_refused(&sender, path, &GRPC, body, says).await;
    }
    let reply = sender.call("/a.Service/Method", &GRPC, &[&whole]).await;
    assert_eq!(reply.status().0, "12", "{reply:?}");
    assert!(reply.status().1.contains("there is no `/a.Service/Method`"));
    assert_eq!(world.taken(), []);
    assert_eq!(world.count(Metric::ReceiveRequests, "malformed"), 8.0);
    assert_eq!(world.count(Metric::ReceiveRequests, "unknown"), 1.0);
    // The connection is none the worse for it.
    let reply = sender.export(OtlpSignal::Traces, &message).await;
    assert_eq!(reply.status().0, "0");
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_refused_for_good() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let (traces, message) = (path(OtlpSignal::Traces), requests()[0].1.clone());
    for (encoding, whole) in compressed(&message) {
        let fields = [GRPC[0], GRPC[1], ("grpc-encoding", encoding)];
        let behind = [&whole[..], b"more"].concat();
        for (body, says) in [
            (&message[..], "cannot be decompressed"),
            (&whole[..whole.len() / 2], "cannot be decompressed"),
            (&behind, "more bytes follow its end"),
        ] {
            is_refused(&sender, traces, &fields, &framed(1, body), says).await;
        }
    }
    assert_eq!(world.taken(), []);
    assert_eq!(world.count(Metric::ReceiveRequests, "malformed"), 9.0);
}

#[tokio::test]
async fn an_unknown_compression_is_answered_with_those_that_are_read() {
    let world = World::start(GRPC_ONLY);
    let sender = Sender::connect(world.addresses[0]).await;
    let fields = [GRPC[0], GRPC[1], ("grpc-encoding", "snappy")];
    let body = framed(1, b"anything");
    let reply = sender
        .call(path(OtlpSignal::Traces), &fields, &[&body])
        .await;
    assert_eq!(reply.status().0, "12");
    assert_eq!(
        reply.field("grpc-accept-encoding"),
        "identity,gzip,zstd,deflate"
    );
}

#[tokio::test]
async fn a_full_queue_is_said_with_the_time_to_come_back() {
    let after = Duration::from_millis(2_500);
    let mut first = true;
    let world = World::answering(GRPC_ONLY, move |_| match std::mem::take(&mut first) {
        true => Answer::Refused { after },
        false => Answer::Accepted,
    });
    let sender = Sender::connect(world.addresses[0]).await;
    let (signal, message, _) = &requests()[0];
    let reply = sender.export(*signal, message).await;
    assert_eq!(reply.status(), ("14", "a queue is full: come back in 2.5s"));
    assert_eq!(reply.retry_after(), Some(after));
    assert_eq!(world.taken(), []);
    assert_eq!(sender.export(*signal, message).await.status().0, "0");
    assert_eq!(world.taken().len(), 1);
    assert_eq!(world.count(Metric::ReceiveRequests, "busy"), 1.0);
}
