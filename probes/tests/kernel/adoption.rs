//! Connections and listeners that are older than the probe.

use std::net::TcpListener;
use std::process;

use tapetum_probes::tcp::{End, Options, Role, flags};

use super::watch::{Watch, What, carry, finish, pair};

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
    finish(client, server);
    assert_eq!(watch.until(What::Closed, 2).len(), 2);
}
