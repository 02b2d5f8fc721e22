//! Senders that are too many, too long, too slow, or only pretend; and a stop while requests are under way.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tapetum_model::{Metric, OtlpSignal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::calls::compressed;
use super::sender::{GRPC, Sender, framed, path};
use super::world::{PATIENCE, World, requests, spans};

fn long(spans_in_it: usize) -> Vec<u8> {
    prost::Message::encode_to_vec(&spans(spans_in_it))
}

/// Waits until the other side has closed, whatever it says before.
async fn closed(tcp: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
    // A reset is an end too.
    end.expect("it is closed in time").ok();
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_before_it_came() {
    let world = World::start("grpc = \"127.0.0.1:0\"\nmax_message = \"64KiB\"");
    let sender = Sender::connect(world.addresses[0]).await;
    let mut open = sender.open(path(OtlpSignal::Traces), &GRPC).await;
    let head = Bytes::from_static(&[0, 0, 1, 0, 1]);
    open.body.send_data(head, false).expect("it is sent");
    let reply = open.answered().await;
    assert_eq!(reply.status().0, "8");
    assert!(
        reply.status().1.contains("raise `max_message`"),
        "{reply:?}"
    );
    assert_eq!(reply.retry_after(), None, "trying again does not help");
    assert_eq!(world.count(Metric::ReceiveRequests, "too_large"), 1.0);
}

#[tokio::test]
async fn a_message_that_grows_too_long_is_refused_before_it_did() {
    let world = World::start("grpc = \"127.0.0.1:0\"\nmax_message = \"64KiB\"");
    let sender = Sender::connect(world.addresses[0]).await;
    let bomb = vec![0; 16 << 20];
    for (encoding, body) in compressed(&bomb) {
        assert!(body.len() < 60 << 10, "{encoding} makes it small");
        let fields = [GRPC[0], GRPC[1], ("grpc-encoding", encoding)];
        let body = framed(1, &body);
        let reply = sender
            .call(path(OtlpSignal::Traces), &fields, &[&body])
            .await;
        assert_eq!(reply.status().0, "8", "{encoding} {reply:?}");
    }
    assert_eq!(world.taken(), []);
}

#[tokio::test]
async fn senders_that_only_begin_take_no_more_than_there_is_and_are_ended() {
    let world = World::start(
        "grpc = \"127.0.0.1:0\"\nmax_message = \"1MiB\"\nbuffer = \"1MiB\"\ntimeout = \"2s\"",
    );
    let sender = Sender::connect(world.addresses[0]).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut open = sender.open(path(OtlpSignal::Traces), &GRPC).await;
        let part = [&[0, 0, 16, 0, 0][..], &vec![0; 200 << 10]].concat();
        open.body.reserve_capacity(part.len());
        open.body.send_data(part.into(), false).expect("it is sent");
        slow.push(open);
    }
    let mut codes = Vec::new();
    for open in slow {
        let reply = open.answered().await;
        codes.push((reply.field("grpc-status").to_owned(), reply.retry_after()));
    }
    let crowded = ("8".to_owned(), Some(Duration::from_secs(1)));
    let late = ("4".to_owned(), None);
    assert!(
        codes.contains(&crowded) && codes.contains(&late),
        "{codes:?}"
    );
    assert!(
        codes.iter().all(|code| [&crowded, &late].contains(&code)),
        "{codes:?}"
    );
    // What they held is free again.
    let (signal, message, _) = &requests()[0];
    assert_eq!(sender.export(*signal, message).await.status().0, "0");
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let world = World::start(
        "grpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.2:0\"\ntimeout = \"150ms\"\nidle = \"150ms\"",
    );
    let [grpc, http] = world.addresses[..] else {
        panic!("two doors");
    };
    let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
    let frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0";
    let begun = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n";
    for (address, first) in [
        (grpc, &b""[..]),
        (grpc, b"PR"),
        (grpc, &preface[..16]),
        (grpc, preface),
        (grpc, frame),
        (http, b""),
        (http, b"P"),
        (http, begun),
    ] {
        let mut tcp = TcpStream::connect(address).await.expect("it listens");
        tcp.write_all(first).await.expect("it is sent");
        closed(&mut tcp).await;
    }
    world
        .counted(Metric::ReceiveTurnedAway, "protocol", 5.0)
        .await;
    assert_eq!(world.taken(), []);
}

#[tokio::test]
async fn who_is_idle_or_old_is_asked_to_come_back() {
    for more in ["idle = \"100ms\"", "age = \"100ms\""] {
        let world = World::start(&format!("grpc = \"127.0.0.1:0\"\n{more}"));
        let sender = Sender::connect(world.addresses[0]).await;
        let (signal, message, _) = &requests()[0];
        assert_eq!(
            sender.export(*signal, message).await.status().0,
            "0",
            "{more}"
        );
        let ended = tokio::time::timeout(PATIENCE, sender.driver).await;
        let ended = ended.expect("it ends in time").expect("no panic");
        assert!(ended.is_ok(), "in order: {ended:?}");
    }
}

#[tokio::test]
async fn there_are_never_more_connections_than_there_may_be() {
    let world = World::start("grpc = \"127.0.0.1:0\"\nmax_connections = 2");
    let (signal, message, _) = &requests()[0];
    let first = Sender::connect(world.addresses[0]).await;
    let second = Sender::connect(world.addresses[0]).await;
    for sender in [&first, &second] {
        assert_eq!(sender.export(*signal, message).await.status().0, "0");
    }
    let mut third = TcpStream::connect(world.addresses[0])
        .await
        .expect("the kernel accepts");
    closed(&mut third).await;
    world.counted(Metric::ReceiveTurnedAway, "full", 1.0).await;
    assert_eq!(world.count(Metric::ReceiveConnections, ""), 2.0);
    drop(first);
    let after = async {
        loop {
            let tcp = TcpStream::connect(world.addresses[0])
                .await
                .expect("the kernel accepts");
            if let Ok(sender) = Sender::over(tcp).await
                && let Ok(mut requests) = sender.requests.clone().ready().await
            {
                let request = http::Request::new(());
                if requests.send_request(request, true).is_ok_and(|_| true)
                    && !sender.driver.is_finished()
                {
                    return sender;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, after)
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_be_answered() {
    let world = World::start("grpc = \"127.0.0.1:0\"");
    let sender = Sender::connect(world.addresses[0]).await;
    let message = long(2_000);
    let body = framed(0, &message);
    let mut open = sender.open(path(OtlpSignal::Traces), &GRPC).await;
    let (front, back) = body.split_at(1_000);
    open.body
        .send_data(Bytes::copy_from_slice(front), false)
        .expect("it is sent");
    // The request is surely there: one that came after it is answered.
    let (signal, small, _) = &requests()[2];
    assert_eq!(sender.export(*signal, small).await.status().0, "0");
    world.ask_to_stop();
    open.body.reserve_capacity(back.len());
    open.body
        .send_data(Bytes::copy_from_slice(back), true)
        .expect("it is sent");
    assert_eq!(open.answered().await.status().0, "0");
    let ended = tokio::time::timeout(PATIENCE, sender.driver).await;
    assert!(
        ended.expect("in time").expect("no panic").is_ok(),
        "in order"
    );
    let taken = world.stopped().await;
    assert_eq!(taken.last().map(|taken| &taken.bytes), Some(&message));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_who_only_began() {
    let world = World::start("grpc = \"127.0.0.1:0\"\ntimeout = \"1h\"");
    let sender = Sender::connect(world.addresses[0]).await;
    let mut open = sender.open(path(OtlpSignal::Traces), &GRPC).await;
    open.body
        .send_data(Bytes::from_static(&[0, 0, 0]), false)
        .expect("it is sent");
    let (signal, small, _) = &requests()[2];
    assert_eq!(sender.export(*signal, small).await.status().0, "0");
    let address: SocketAddr = world.addresses[0];
    world.ask_to_stop();
    let taken = world.stopped().await;
    assert_eq!(taken.len(), 1, "what was not complete is not taken");
    assert!(
        open.try_answered().await.is_err(),
        "and is not acknowledged"
    );
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_sender_that_goes_in_the_middle_leaves_nothing() {
    let world = World::start("grpc = \"127.0.0.1:0\"");
    let sender = Sender::connect(world.addresses[0]).await;
    let mut open = sender.open(path(OtlpSignal::Traces), &GRPC).await;
    open.body
        .send_data(framed(0, &[0; 50])[..40].to_vec().into(), false)
        .expect("it is sent");
    let (signal, small, _) = &requests()[2];
    assert_eq!(sender.export(*signal, small).await.status().0, "0");
    sender.driver.abort();
    drop((open, sender));
    world.counted(Metric::ReceiveRequests, "gone", 1.0).await;
    assert_eq!(world.taken().len(), 1);
}
