//! Why connections ended and connects failed.

use std::io::{ErrorKind, Read, Write};
use std::mem::size_of_val;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::thread;
use std::time::Duration;

use tapetum_probes::tcp::{End, Failure, Options, Role, Row, flags};

use super::watch::{Watch, What, pair, run};

fn option(stream: &TcpStream, level: i32, name: i32, value: &[i32]) {
    // SAFETY: the value is live for the call and as long as said.
    let set = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            size_of_val(value) as libc::socklen_t,
        )
    };
    assert_eq!(set, 0);
}

/// A socket that has begun to connect and is not waited for.
fn connecting(address: &str) -> TcpStream {
    let SocketAddr::V4(address) = address.parse().expect("an address") else {
        panic!("IPv4 only")
    };
    // SAFETY: a new socket, owned by nobody else.
    let stream = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0);
        TcpStream::from_raw_fd(fd)
    };
    let to = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    };
    option(&stream, libc::IPPROTO_TCP, libc::TCP_SYNCNT, &[1]);
    // SAFETY: the address is live for the call and as long as said.
    unsafe {
        libc::connect(
            stream.as_raw_fd(),
            (&raw const to).cast(),
            size_of_val(&to) as libc::socklen_t,
        );
    }
    stream
}

fn ends(watch: &mut Watch) -> (Row, Row) {
    let rows = watch.until(What::Closed, 2);
    let of = |role| {
        *rows
            .iter()
            .find(|row| row.role() == role)
            .expect("a role each")
    };
    (of(Role::Client), of(Role::Server))
}

#[test]
fn a_refused_connect_says_so() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let error = TcpStream::connect("127.0.0.1:9").expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(
        (row.end(), row.failure()),
        (End::RstReceived, Some(Failure::Refused)),
        "{row:?}"
    );
    assert_eq!(
        (row.peer_port, row.established(), row.attempted()),
        (9, false, true)
    );
    assert_ne!(row.local_port, 0);
    assert_eq!((row.bytes_sent, row.bytes_received), (0, 0));
    assert_eq!(
        (row.srtt_us, row.rttvar_us, row.min_rtt_us),
        (0, 0, 0),
        "no round trip was measured"
    );
    assert_eq!(row.local().ip().to_string(), "127.0.0.1");
}

#[test]
fn a_connect_that_nobody_answers_times_out() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t in { type filter hook input priority 0 ; }");
    run("nft add rule ip t in tcp dport 77 drop");
    let stream = connecting("127.0.0.1:77");
    option(&stream, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, &[300]);
    // While it tries, a sweep shows it: not established, its own port known.
    let trying = watch.sweep();
    assert_eq!(trying.len(), 1);
    assert!(!trying[0].established() && trying[0].state == 2 && trying[0].local_port != 0);
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(
        (row.end(), row.failure()),
        (End::Timeout, Some(Failure::Timeout)),
        "{row:?}"
    );
    assert_eq!(row.id, trying[0].id);
}

#[test]
fn an_abandoned_connect_is_cancelled_and_no_failure() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t in { type filter hook input priority 0 ; }");
    run("nft add rule ip t in tcp dport 77 drop");
    drop(connecting("127.0.0.1:77"));
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(
        (row.end(), row.failure()),
        (End::Cancelled, None),
        "{row:?}"
    );
    assert!(row.attempted());
}

#[test]
fn a_host_that_does_not_answer_is_unreachable() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("ip link add name near type veth peer name far");
    run("ip address add 10.9.0.1/24 dev near");
    run("ip link set near up");
    run("ip link set far up");
    let error = TcpStream::connect("10.9.0.2:80").expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(row.failure(), Some(Failure::HostUnreachable), "{row:?}");
    assert_eq!(row.peer().to_string(), "10.9.0.2:80");
}

#[test]
fn a_net_that_a_router_refuses_is_unreachable() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t in { type filter hook input priority 0 ; }");
    run("nft add rule ip t in tcp dport 77 reject with icmp type net-unreachable");
    let error = TcpStream::connect("127.0.0.1:77").expect_err("refused on the way");
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(row.failure(), Some(Failure::NetUnreachable), "{row:?}");
}

#[test]
fn an_icmp_error_that_only_stood_in_the_socket_is_the_reason_of_a_connect_given_up() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    run("nft add table ip t");
    run("nft add chain ip t in { type filter hook input priority 0 ; }");
    run("nft add rule ip t in tcp dport 77 reject with icmp type host-unreachable");
    drop(connecting("127.0.0.1:77"));
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!(
        (row.end(), row.failure()),
        (End::Unknown, Some(Failure::HostUnreachable))
    );
}

#[test]
fn crossed_syns_make_two_clients_that_know_it() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    // A socket that connects to itself is a simultaneous open with one end.
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let free = listener.local_addr().expect("bound");
    drop(listener);
    let stream = bound_and_connected(free);
    let mut reading = stream.try_clone().expect("a clone");
    (&stream).write_all(&[9; 1_000]).expect("sends");
    reading.read_exact(&mut [0; 1_000]).expect("receives");
    let row = watch.until(What::Opened, 1)[0];
    assert_eq!((row.role(), row.has(flags::CROSSED)), (Role::Client, true));
    assert_eq!((row.local(), row.isn_own), (row.peer(), row.isn_peer));
    drop((stream, reading));
    let row = watch.until(What::Closed, 1)[0];
    assert_eq!((row.bytes_sent, row.bytes_received), (1_000, 1_000));
}

/// A socket bound to an address and connected to the same.
fn bound_and_connected(address: SocketAddr) -> TcpStream {
    let SocketAddr::V4(address) = address else {
        panic!("IPv4 only")
    };
    let at = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&at) as libc::socklen_t;
    // SAFETY: a new socket that nobody else owns; the address is live and as long as said.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        assert_eq!(libc::bind(fd, (&raw const at).cast(), length), 0);
        assert_eq!(libc::connect(fd, (&raw const at).cast(), length), 0);
        TcpStream::from_raw_fd(fd)
    }
}

#[test]
fn a_process_that_closes_with_a_reset_sent_it_and_its_peer_received_it() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (client, mut server) = pair(&listener);
    option(&client, libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);
    drop(client);
    let error = server.read(&mut [0; 8]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (client, server) = ends(&mut watch);
    assert_eq!(
        (client.end(), client.failure()),
        (End::RstSent, Some(Failure::Reset))
    );
    assert_eq!(
        (server.end(), server.failure()),
        (End::RstReceived, Some(Failure::Reset))
    );
    assert!(server.has(flags::RST_RECEIVED));
}

#[test]
fn a_close_with_data_unread_is_a_reset_by_who_did_not_read() {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (mut client, server) = pair(&listener);
    client.write_all(&[1; 5_000]).expect("sends");
    thread::sleep(Duration::from_millis(50));
    drop(server);
    let (client, server) = ends(&mut watch);
    assert_eq!(
        (server.end(), client.end()),
        (End::RstSent, End::RstReceived)
    );
    assert_eq!((client.bytes_sent, server.bytes_received), (5_000, 5_000));
}

/// A client that closed while its FIN does not get through, so that it waits for the answer.
fn closed_and_waiting() -> Option<(Watch, TcpStream)> {
    let mut watch = Watch::start(&Options::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (client, server) = pair(&listener);
    assert_eq!(watch.until(What::Opened, 2).len(), 2);
    run("nft add table ip t");
    run("nft add chain ip t out { type filter hook output priority 0 ; }");
    run("nft add rule ip t out tcp flags & fin == fin drop");
    drop(client);
    Some((watch, server))
}

#[test]
fn data_that_comes_after_the_process_is_gone_is_answered_by_a_reset_of_its_own_end() {
    let Some((mut watch, mut server)) = closed_and_waiting() else {
        return;
    };
    server.write_all(b"too late").expect("sends");
    let (client, server) = ends(&mut watch);
    assert_eq!(
        (client.end(), server.end()),
        (End::RstSent, End::RstReceived),
        "{client:?}"
    );
}

#[test]
fn a_reset_that_comes_after_the_process_is_gone_was_received() {
    let Some((mut watch, server)) = closed_and_waiting() else {
        return;
    };
    option(&server, libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);
    drop(server);
    let (client, server) = ends(&mut watch);
    assert_eq!(
        (client.end(), server.end()),
        (End::RstReceived, End::RstSent),
        "{client:?}"
    );
}

#[test]
fn a_socket_that_connects_again_is_another_connection() {
    connects_again(false);
}

#[test]
fn a_socket_whose_storage_a_sweep_took_away_can_connect_again_too() {
    connects_again(true);
}

fn connects_again(swept: bool) {
    let Some(mut watch) = Watch::start(&Options::default()) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (client, server) = pair(&listener);
    assert_eq!(watch.until(What::Opened, 2).len(), 2);
    let to = |family: i32, port: u16, address: u32| libc::sockaddr_in {
        sin_family: family as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: address.to_be(),
        },
        sin_zero: [0; 8],
    };
    let port = listener.local_addr().expect("bound").port();
    let apart = to(libc::AF_UNSPEC, 0, 0);
    let again = to(
        libc::AF_INET,
        port,
        u32::from(std::net::Ipv4Addr::LOCALHOST),
    );
    for address in [apart, again] {
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is live for the call and as long as said.
        let done =
            unsafe { libc::connect(client.as_raw_fd(), (&raw const address).cast(), length) };
        assert_eq!(done, 0);
        if swept {
            watch.sweep();
        }
    }
    drop(server);
    let opened = watch.until(What::Opened, 4);
    let clients: Vec<_> = opened
        .iter()
        .filter(|row| row.role() == Role::Client)
        .collect();
    assert_eq!(clients[0].id, clients[1].id);
    assert!(clients[1].born_ns > clients[0].born_ns);
    assert_ne!(clients[0].isn_own, clients[1].isn_own);
    assert!(
        watch
            .sweep()
            .iter()
            .any(|row| row.born_ns == clients[1].born_ns)
    );
}
