//! Connections that are born and closed while the probe watches: each exactly once at each end, with
//! its addresses, process, namespace and the same pair of initial sequence numbers at both.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process;

use tapetum_probes::tcp::{End, Options, Role, Row, flags};

use super::watch::{Watch, What, carry, finish, pair_to};

fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).expect("bound")
}

fn both(rows: &[Row]) -> (Row, Row) {
    let of = |role| {
        *rows
            .iter()
            .find(|row| row.role() == role)
            .expect("an end of each role")
    };
    assert_eq!(rows.len(), 2);
    (of(Role::Client), of(Role::Server))
}

fn same_connection(client: &Row, server: &Row) {
    assert!(client.has(flags::ISN) && server.has(flags::ISN));
    assert_eq!(
        (client.isn_own, client.isn_peer),
        (server.isn_peer, server.isn_own)
    );
    assert_eq!(
        (client.local(), client.peer()),
        (server.peer(), server.local())
    );
    assert_ne!(client.id, server.id);
    assert_eq!(client.netns_cookie, server.netns_cookie);
}

/// What the kernel itself calls the socket.
fn cookie(stream: &TcpStream) -> u64 {
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    let fd = stream.as_raw_fd();
    // SAFETY: both are live for the call, and the second is the first one's size.
    let got = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(got, 0);
    cookie
}

fn born_and_closed(address: &str, family: u8, mapped: bool) {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = listener(address);
    let mut target = listener.local_addr().expect("bound");
    if mapped {
        target = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port()));
    }
    let (client, server) = pair_to(&listener, target);
    let cookies = (cookie(&client), cookie(&server));
    carry(&client, &server, 12_345);
    carry(&server, &client, 678);
    finish(client, server);
    let (client, server) = both(&watch.until(What::Opened, 2));
    same_connection(&client, &server);
    assert_eq!((client.id, server.id), cookies);
    assert_eq!(client.peer(), target);
    for row in [client, server] {
        assert_eq!(row.family, family);
        assert_eq!(row.pid, process::id());
        assert!(row.comm().starts_with(b"kernel-"), "{:?}", row.comm());
        assert!(row.born_ns > 0 && row.born_ns <= row.established_ns);
        assert!(row.established_ns <= row.at_ns);
        assert!(row.handshake_us > 0, "{row:?}");
        assert_eq!((row.bytes_sent, row.bytes_received, row.error), (0, 0, 0));
        assert!(!row.has(flags::ANNOUNCED) && !row.has(flags::ADOPTED));
    }
    assert_eq!(server.has(flags::MAPPED), mapped);

    let closed = both(&watch.until(What::Closed, 2));
    same_connection(&closed.0, &closed.1);
    assert_eq!((closed.0.id, closed.1.id), (client.id, server.id));
    assert_eq!(
        (closed.0.bytes_sent, closed.0.bytes_received),
        (12_345, 678)
    );
    assert_eq!(
        (closed.1.bytes_sent, closed.1.bytes_received),
        (678, 12_345)
    );
    for row in [closed.0, closed.1] {
        assert_eq!((row.end(), row.failure()), (End::Fin, None), "{row:?}");
        assert!(
            row.has(flags::FIN_SENT | flags::FIN_ACKED | flags::FIN_RECEIVED),
            "{row:?}"
        );
        assert!(row.has(flags::ANNOUNCED));
        assert!(row.packets_sent >= 3 && row.packets_received >= 3);
        assert!(row.srtt_us > 0 && row.at_ns > row.established_ns);
    }
    let listening = watch.of(What::Listening);
    assert_eq!(listening.len(), 1);
    assert_eq!(listening[0].local_port, target.port());
    drop(listener);
    assert_eq!(watch.until(What::ListenerClosed, 1)[0].id, listening[0].id);
}

#[test]
fn an_ipv4_connection_is_seen_once_at_each_end() {
    born_and_closed("127.0.0.1:0", 4, false);
}

#[test]
fn an_ipv6_connection_is_seen_once_at_each_end() {
    born_and_closed("[::1]:0", 6, false);
}

#[test]
fn an_ipv4_connection_of_an_ipv6_listener_is_seen_as_ipv4() {
    born_and_closed("[::]:0", 4, true);
}

#[test]
fn many_short_connections_are_each_seen_exactly_once_at_each_end() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = listener("127.0.0.1:0");
    let target = listener.local_addr().expect("bound");
    const CONNECTIONS: usize = 500;
    for _ in 0..CONNECTIONS {
        let (client, server) = pair_to(&listener, target);
        carry(&client, &server, 100);
        finish(client, server);
    }
    let opened = watch.until(What::Opened, 2 * CONNECTIONS);
    let closed = watch.until(What::Closed, 2 * CONNECTIONS);
    let mut pairs: Vec<_> = opened
        .iter()
        .map(|row| match row.role() {
            Role::Client => (row.isn_own, row.isn_peer, 0),
            _ => (row.isn_peer, row.isn_own, 1),
        })
        .collect();
    pairs.sort_unstable();
    for ends in pairs.chunks(2) {
        assert_eq!(
            (ends[0].0, ends[0].1, 0, 1),
            (ends[1].0, ends[1].1, ends[0].2, ends[1].2)
        );
    }
    let ids = |rows: &[Row]| {
        let mut ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&opened), ids(&closed));
    let sent: u64 = closed.iter().map(|row| row.bytes_sent).sum();
    let received: u64 = closed.iter().map(|row| row.bytes_received).sum();
    assert_eq!(
        (sent, received),
        (100 * CONNECTIONS as u64, 100 * CONNECTIONS as u64)
    );
}
