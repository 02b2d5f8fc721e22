//! Connections and listeners that are older than the probe.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tapetum_probes::tcp::{End, Options, Role, Row, flags};

use super::watch::{Watch, What, carry, finish, pair, run};

#[test]
fn what_is_older_than_the_probe_is_adopted_with_its_roles_and_numbers() {
    let before = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (client, server) = pair(&listener);
        carry(&client, &server, 3_000_000);
        carry(&server, &client, 5_000);
        (listener, client, server)
    };
    let Some((mut watch, (listener, client, server))) =
        Watch::start_after(&Options::default(), before)
    else {
        return;
    };
    let adoption = watch.probe.adopt().expect("adopts");
    assert!(
        adoption.connections >= 2 && adoption.listeners >= 1,
        "{adoption:?}"
    );
    assert_eq!(adoption.untold, 0);
    watch.drain();
    let adopted = watch.of(What::Adopted);
    assert_eq!(adopted.len(), 2);
    let of = |role| {
        *adopted
            .iter()
            .find(|row| row.role() == role)
            .expect("a role each")
    };
    let (client_row, server_row) = (of(Role::Client), of(Role::Server));
    assert_eq!(client_row.peer(), listener.local_addr().expect("bound"));
    assert_eq!(
        (client_row.isn_own, client_row.isn_peer),
        (server_row.isn_peer, server_row.isn_own)
    );
    assert_eq!(
        (client_row.bytes_sent, client_row.bytes_received),
        (3_000_000, 5_000)
    );
    assert_eq!(
        (server_row.bytes_sent, server_row.bytes_received),
        (5_000, 3_000_000)
    );
    assert!(
        adopted
            .iter()
            .all(|row| row.has(flags::ADOPTED | flags::ISN))
    );
    assert!(
        adopted
            .iter()
            .all(|row| row.pid == process::id() && row.established())
    );

    let reader = watch.probe.counters().expect("counts").reader;
    assert_eq!(reader, u64::from(process::id()), "as the rows have it");

    let again = watch.probe.adopt().expect("adopts again");
    watch.drain();
    assert_eq!(watch.of(What::Adopted).len(), 2, "adopted twice: {again:?}");

    carry(&client, &server, 10);
    finish(client, server);
    let closed = watch.until(What::Closed, 2);
    let server_closed = closed
        .iter()
        .find(|row| row.id == server_row.id)
        .expect("closed");
    assert_eq!(
        (server_closed.bytes_sent, server_closed.bytes_received),
        (5_000, 3_000_010)
    );
    assert!(closed.iter().all(|row| row.end() == End::Fin));
    assert_eq!(server_closed.isn_own, server_row.isn_own);
}

#[test]
fn an_adopted_listener_gives_its_process_to_what_it_accepts() {
    let before = || TcpListener::bind("127.0.0.1:0").expect("bound");
    let Some((mut watch, listener)) = Watch::start_after(&Options::default(), before) else {
        return;
    };
    watch.probe.adopt().expect("adopts");
    watch.drain();
    let listening = watch.of(What::Listening);
    assert_eq!(listening.len(), 1);
    assert!(listening[0].has(flags::ADOPTED));
    let (client, server) = pair(&listener);
    let opened = watch.until(What::Opened, 2);
    let accepted = opened
        .iter()
        .find(|row| row.role() == Role::Server)
        .expect("accepted");
    assert_eq!(accepted.pid, process::id());
    assert_eq!(accepted.comm(), listening[0].comm());
    assert_eq!(accepted.cgroup_id, listening[0].cgroup_id);
    assert!(!accepted.has(flags::ADOPTED));
    finish(client, server);
}

#[test]
fn a_connection_of_a_listener_that_nobody_knows_is_tracked_without_its_process() {
    let before = || TcpListener::bind("127.0.0.1:0").expect("bound");
    let Some((mut watch, listener)) = Watch::start_after(&Options::default(), before) else {
        return;
    };
    let (client, server) = pair(&listener);
    let opened = watch.until(What::Opened, 2);
    let accepted = opened
        .iter()
        .find(|row| row.role() == Role::Server)
        .expect("accepted");
    assert_eq!((accepted.pid, accepted.comm()), (0, &b""[..]));
    assert_ne!(accepted.cgroup_id, 0);
    // An adoption finds out who holds it now.
    watch.probe.adopt().expect("adopts");
    finish(client, server);
    let closed = watch.until(What::Closed, 2);
    assert!(closed.iter().all(|row| row.pid == process::id()));
}

#[test]
fn a_half_closed_connection_is_adopted_with_its_fin_left_out() {
    let before = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (client, server) = pair(&listener);
        carry(&client, &server, 1_000);
        client.shutdown(Shutdown::Write).expect("half closed");
        assert_eq!((&server).read(&mut [0; 8]).expect("an end"), 0);
        (listener, client, server)
    };
    let Some((mut watch, (_listener, client, server))) =
        Watch::start_after(&Options::default(), before)
    else {
        return;
    };
    watch.probe.adopt().expect("adopts");
    watch.drain();
    let adopted = watch.of(What::Adopted);
    let of = |role| {
        *adopted
            .iter()
            .find(|row| row.role() == role)
            .expect("a role each")
    };
    let (near, far) = (of(Role::Client), of(Role::Server));
    assert_eq!((near.bytes_sent, far.bytes_received), (1_000, 1_000));
    assert_eq!((near.isn_own, near.isn_peer), (far.isn_peer, far.isn_own));
    assert!(near.has(flags::FIN_SENT) && far.has(flags::FIN_RECEIVED));
    carry(&server, &client, 77);
    drop((client, server));
    let closed = watch.until(What::Closed, 2);
    let far = closed.iter().find(|row| row.id == far.id).expect("closed");
    assert_eq!((far.bytes_sent, far.bytes_received), (77, 1_000));
}

#[test]
fn what_waited_in_a_listeners_queue_is_found_once_it_was_accepted() {
    let before = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connects");
        (listener, client)
    };
    let Some((mut watch, (listener, client))) = Watch::start_after(&Options::default(), before)
    else {
        return;
    };
    watch.probe.adopt().expect("adopts");
    watch.drain();
    assert_eq!(
        watch.of(What::Adopted).len(),
        1,
        "nobody holds the other end"
    );
    let (server, _) = listener.accept().expect("accepts");
    watch.probe.adopt().expect("adopts");
    watch.drain();
    let adopted = watch.of(What::Adopted);
    assert_eq!(adopted.len(), 2);
    assert_eq!(adopted[1].role(), Role::Server);
    assert_eq!(
        (adopted[0].isn_own, adopted[0].isn_peer),
        (adopted[1].isn_peer, adopted[1].isn_own)
    );
    finish(client, server);
}

#[test]
fn connections_in_full_flight_are_adopted_with_the_numbers_that_they_end_with() {
    let before = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (client, server) = pair(&listener);
        let stop = Arc::new(AtomicBool::new(false));
        let sending = {
            let (client, stop) = (client.try_clone().expect("a clone"), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut sent = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    (&client).write_all(&[5; 9_999]).expect("sends");
                    sent += 9_999;
                }
                client.shutdown(Shutdown::Write).expect("half closed");
                sent
            })
        };
        let receiving = std::thread::spawn(move || {
            std::io::copy(&mut &server, &mut std::io::sink()).expect("receives");
            server
        });
        (client, stop, sending, receiving)
    };
    let Some((mut watch, (client, stop, sending, receiving))) =
        Watch::start_after(&Options::default(), before)
    else {
        return;
    };
    watch.probe.adopt().expect("adopts");
    watch.drain();
    let adopted = watch.of(What::Adopted);
    stop.store(true, Ordering::Relaxed);
    let sent = sending.join().expect("sent");
    drop((receiving.join().expect("received"), client));
    let closed = watch.until(What::Closed, 2);
    let decided = |rows: &[Row]| {
        let near = *rows
            .iter()
            .find(|row| row.bytes_sent > row.bytes_received)
            .expect("a sender");
        let far = *rows
            .iter()
            .find(|row| row.id != near.id)
            .expect("a receiver");
        (near.assume(Role::Client), far.assume(Role::Server))
    };
    let (near, far) = decided(&closed);
    assert_eq!((near.role(), far.role()), (Role::Client, Role::Server));
    assert_eq!((near.bytes_sent, far.bytes_received), (sent, sent));
    assert_eq!((near.isn_own, near.isn_peer), (far.isn_peer, far.isn_own));
    let (near_before, far_before) = decided(&adopted);
    assert_eq!(
        (near_before.isn_own, far_before.isn_own),
        (near.isn_own, far.isn_own)
    );
}

/// A drop in the sender's own firewall is counted as sent but not as sent again: then the counters of
/// an adopted socket do not tell which end it is, and whoever knows says so.
#[test]
fn where_the_sender_itself_dropped_the_role_is_left_to_who_knows_it() {
    const BYTES: usize = 20_000_000;
    let before = || {
        run("nft add table ip t");
        run("nft add chain ip t out { type filter hook output priority 0 ; }");
        run("nft add rule ip t out meta l4proto tcp numgen random mod 100 < 2 drop");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (client, server) = pair(&listener);
        carry(&client, &server, BYTES);
        run("nft delete table ip t");
        (listener, client, server)
    };
    let Some((mut watch, (listener, client, server))) =
        Watch::start_after(&Options::default(), before)
    else {
        return;
    };
    watch.probe.adopt().expect("adopts");
    watch.drain();
    let port = listener.local_addr().expect("bound").port();
    let adopted = watch.of(What::Adopted);
    let of = |local: bool| {
        let found = adopted.iter().find(|row| (row.local_port == port) == local);
        *found.expect("both ends")
    };
    assert_eq!(of(false).role(), Role::Unknown);
    let (near, far) = (
        of(false).assume(Role::Client),
        of(true).assume(Role::Server),
    );
    assert_eq!((near.isn_own, near.isn_peer), (far.isn_peer, far.isn_own));
    assert_eq!(
        (near.bytes_sent, far.bytes_received),
        (BYTES as u64, BYTES as u64)
    );
    finish(client, server);
}
