//! Payload to the byte, judged by ends that count, while sweeps read the same sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use tapetum_probes::tcp::{Options, Row, flags};

use super::watch::{Watch, What, pair, run};

/// Sends pieces of many sizes and counts; then reads to the end and counts.
fn talk(mut stream: TcpStream, pieces: usize, seed: usize) -> (u64, u64) {
    let mut reading = stream.try_clone().expect("a clone");
    let counting = thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut received = 0_u64;
        loop {
            match reading.read(&mut buffer).expect("reads") {
                0 => return received,
                length => received += length as u64,
            }
        }
    });
    let mut sent = 0_u64;
    for piece in 0..pieces {
        let length = (piece * 7_919 + seed * 104_729) % 90_001;
        stream.write_all(&vec![3; length]).expect("sends");
        sent += length as u64;
    }
    stream.shutdown(Shutdown::Write).expect("half closed");
    (sent, counting.join().expect("counted"))
}

fn both_ways(watch: &mut Watch, pieces: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (client, server) = pair(&listener);
    let ids = watch.until(What::Opened, 2);
    let client = thread::spawn(move || talk(client, pieces, 1));
    let server = thread::spawn(move || talk(server, pieces / 2, 2));
    let mut last: Vec<Row> = ids.clone();
    while !(client.is_finished() && server.is_finished()) {
        for row in watch.sweep() {
            let before = last
                .iter_mut()
                .find(|before| before.id == row.id)
                .expect("opened");
            assert!(
                row.bytes_sent >= before.bytes_sent,
                "{before:?} then {row:?}"
            );
            assert!(
                row.bytes_received + 1 >= before.bytes_received,
                "{before:?} then {row:?}"
            );
            assert_eq!(
                (row.isn_own, row.isn_peer),
                (before.isn_own, before.isn_peer)
            );
            assert!(row.packets_sent >= before.packets_sent);
            *before = row;
        }
    }
    let (client, server) = (
        client.join().expect("talked"),
        server.join().expect("talked"),
    );
    assert_eq!((client.0, client.1), (server.1, server.0));
    let closed = watch.until(What::Closed, 2);
    let of = |id| *closed.iter().find(|row| row.id == id).expect("closed");
    let client_id = ids
        .iter()
        .find(|row| row.peer_port == listener_port(&listener));
    let client_row = of(client_id.expect("a client").id);
    let server_row = *closed
        .iter()
        .find(|row| row.id != client_row.id)
        .expect("another");
    assert_eq!((client_row.bytes_sent, client_row.bytes_received), client);
    assert_eq!((server_row.bytes_sent, server_row.bytes_received), server);
    assert!(client_row.has(flags::FIN_RECEIVED) && server_row.has(flags::FIN_RECEIVED));
}

fn listener_port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("bound").port()
}

#[test]
fn payload_is_counted_to_the_byte_under_sweeps() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    both_ways(&mut watch, 3_000);
}

#[test]
fn payload_is_counted_to_the_byte_where_packets_are_lost_on_the_way_in() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t in { type filter hook input priority 0 ; }");
    run("nft add rule ip t in meta l4proto tcp numgen random mod 100 < 2 drop");
    both_ways(&mut watch, 300);
    assert!(watch.of(What::Closed).iter().any(|row| row.retransmits > 0));
}

#[test]
fn payload_is_counted_to_the_byte_where_the_sender_itself_drops() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t out { type filter hook output priority 0 ; }");
    run("nft add rule ip t out meta l4proto tcp numgen random mod 100 < 2 drop");
    both_ways(&mut watch, 300);
}
