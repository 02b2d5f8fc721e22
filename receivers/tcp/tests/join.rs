//! Two ends on one kernel: names, translated addresses, one trace; and what is left out.

use std::net::SocketAddr;

use tapetum_model::{Connection, Flags, Role};
use tapetum_probes::tcp::{Event, Row, flags};

use super::world::{MS, SECOND, World, between, client, comm, listener, server};

fn name(end: &tapetum_model::End) -> Option<&str> {
    end.entity
        .as_ref()
        .and_then(|entity| entity.name())
        .map(|name| &**name)
}

fn ends(world: &mut World) -> (Connection, Connection) {
    let rows = world.settle(SECOND + MS);
    assert_eq!(
        rows.len(),
        2,
        "neither waits for longer: each knows the other"
    );
    let (client, server) = rows
        .into_iter()
        .partition::<Vec<_>, _>(|row| row.role == Role::Client);
    (client[0].clone(), server[0].clone())
}

#[test]
fn each_end_is_named_in_the_others_first_row_in_either_order() {
    for reversed in [false, true] {
        let mut world = World::new();
        let mut events = [client(), server()];
        if reversed {
            events.reverse();
        }
        world.table.on(Event::Opened(&events[0]));
        assert!(
            world.settle(SECOND + MS).is_empty(),
            "it waits for its other end"
        );
        world.table.on(Event::Opened(&events[1]));
        let (asked, answered) = ends(&mut world);
        assert_eq!(
            (name(&asked.local), name(&asked.remote)),
            (Some("web"), Some("api"))
        );
        assert_eq!(
            (name(&answered.local), name(&answered.remote)),
            (Some("api"), Some("web"))
        );
        assert_eq!(asked.answered_by, None, "who was asked is who answered");
    }
}

#[test]
fn nobody_waits_for_long() {
    let mut world = World::new();
    world.table.on(Event::Opened(&client()));
    assert!(world.settle(SECOND + 19 * MS).is_empty());
    assert!(world.table.waits());
    assert_eq!(world.settle(SECOND + 20 * MS).len(), 1);
    assert!(!world.table.waits());
}

#[test]
fn a_virtual_ip_is_what_was_asked_and_the_server_is_who_answered() {
    let mut world = World::new();
    let asking = between(client(), "10.0.0.1:40000", "10.96.0.10:80");
    // Masqueraded on the way: the server sees the node.
    let answering = between(server(), "10.0.0.2:8080", "192.168.0.1:61234");
    world.table.on(Event::Opened(&asking));
    world.table.on(Event::Opened(&answering));
    let (asked, answered) = ends(&mut world);
    assert_eq!(asked.remote.address, "10.96.0.10:80".parse().unwrap());
    assert_eq!(asked.answered_by, Some("10.0.0.2:8080".parse().unwrap()));
    assert_eq!(
        answered.remote.address,
        "192.168.0.1:61234".parse().unwrap()
    );
    assert_eq!(
        name(&answered.remote),
        Some("web"),
        "whatever stood between them"
    );
    assert_eq!(answered.answered_by, None);
}

#[test]
fn both_ends_are_one_trace_the_server_the_child() {
    let mut world = World::new();
    world.table.on(Event::Opened(&client()));
    world.table.on(Event::Opened(&server()));
    world.table.on(Event::Closed(&Row {
        state: 5,
        ..client()
    }));
    world.table.on(Event::Closed(&Row {
        state: 9,
        ..server()
    }));
    let (asked, answered) = ends(&mut world);
    assert_eq!(asked.trace, answered.trace);
    assert_eq!(answered.parent, Some(asked.span));
    assert!(answered.flags.has(Flags::REMOTE_PARENT) && !asked.flags.has(Flags::REMOTE_PARENT));
}

#[test]
fn where_both_connected_the_lower_number_is_the_client() {
    let mut world = World::new();
    let other = server().with_role(tapetum_probes::tcp::Role::Client);
    for row in [client(), other] {
        let flags = flags::ISN | flags::CROSSED;
        world.table.on(Event::Opened(&Row { flags, ..row }));
        world.table.on(Event::Closed(&Row {
            state: 5,
            flags,
            ..row
        }));
    }
    let (asked, answered) = ends(&mut world);
    assert_eq!(asked.local.address, "10.0.0.1:40000".parse().unwrap());
    assert_eq!(
        (answered.trace, answered.parent),
        (asked.trace, Some(asked.span))
    );
}

#[test]
fn conntrack_is_asked_only_where_the_other_end_is_not_here() {
    let asked: SocketAddr = "10.96.0.10:80".parse().unwrap();
    let real: SocketAddr = "10.1.1.1:8080".parse().unwrap();
    let row = between(client(), "10.0.0.1:40000", "10.96.0.10:80");
    let answers = move |from: SocketAddr, to: SocketAddr| {
        assert_eq!((from.port(), to), (40_000, asked));
        Some(real)
    };
    let mut world = World::with(Some(Box::new(answers)));
    world.table.on(Event::Opened(&row));
    let told = world.settle(2 * SECOND).remove(0);
    assert_eq!((told.remote.address, told.answered_by), (asked, Some(real)));
    let mut world = World::with(Some(Box::new(|_, _| {
        panic!("the pair of ISNs told already")
    })));
    world.table.on(Event::Opened(&row));
    world.table.on(Event::Opened(&server()));
    let (told, _) = ends(&mut world);
    assert_eq!(told.answered_by, Some("10.0.0.2:80".parse().unwrap()));
    let mut world = World::with(Some(Box::new(move |_, _| Some(asked))));
    world.table.on(Event::Opened(&row));
    assert_eq!(
        world.settle(2 * SECOND)[0].answered_by,
        None,
        "nothing was translated"
    );
}

#[test]
fn adopted_ends_find_each_other() {
    let mut world = World::new();
    for row in [client(), server()] {
        world.table.on(Event::Adopted(&Row {
            flags: flags::ISN | flags::ADOPTED,
            ..row
        }));
    }
    let (asked, answered) = ends(&mut world);
    assert_eq!(
        (name(&asked.remote), name(&answered.remote)),
        (Some("api"), Some("web"))
    );
}

#[test]
fn a_mapped_address_leaves_as_ipv4() {
    let mut world = World::new();
    world.table.on(Event::Opened(&between(
        client(),
        "[::ffff:10.0.0.1]:1",
        "[::ffff:10.0.0.2]:80",
    )));
    let row = world.settle(2 * SECOND).remove(0);
    assert!(row.local.address.is_ipv4() && row.remote.address.is_ipv4());
    let mut world = World::new();
    world.table.on(Event::Opened(&between(
        client(),
        "[fd00::1]:1",
        "[fd00::2]:80",
    )));
    assert_eq!(
        world.settle(2 * SECOND)[0].remote.address,
        "[fd00::2]:80".parse().unwrap()
    );
}

#[test]
fn a_refused_connect_to_an_address_of_ones_own_names_who_listens() {
    let mut world = World::new();
    world.table.on(Event::Listening(&listener("0.0.0.0:80", 7)));
    let failed = Row {
        established_ns: 0,
        flags: 0,
        state: 2,
        error: 110,
        ..client()
    };
    world.table.on(Event::Closed(&between(
        failed,
        "10.0.0.1:40000",
        "10.0.0.1:80",
    )));
    world.table.on(Event::Closed(&failed));
    let rows = world.settle(SECOND);
    assert_eq!(name(&rows[0].remote), Some("api"));
    assert_eq!(
        name(&rows[1].remote),
        None,
        "another address may be another host's"
    );
}

#[test]
fn a_server_that_is_down_is_named_by_who_served_there() {
    let failed = Row {
        established_ns: 0,
        flags: 0,
        state: 2,
        error: 111,
        ..client()
    };
    let refused = Row {
        flags: flags::RST_RECEIVED,
        ..failed
    };
    let virtual_ip = between(refused, "10.0.0.1:40000", "10.96.0.10:80");
    let answers = |_: SocketAddr, _: SocketAddr| Some("10.0.0.2:80".parse().unwrap());
    let mut world = World::with(Some(Box::new(answers)));
    world.table.on(Event::Opened(&server()));
    world.settle(2 * SECOND);
    world.table.on(Event::Closed(&virtual_ip));
    let row = world.settle(3 * SECOND).remove(0);
    assert_eq!(name(&row.remote), Some("api"), "behind the virtual IP");
    // Two minutes later the address may be somebody else's.
    let late = Row {
        born_ns: virtual_ip.born_ns + 120 * SECOND,
        at_ns: virtual_ip.at_ns + 120 * SECOND,
        ..virtual_ip
    };
    world.table.on(Event::Closed(&late));
    assert_eq!(name(&world.settle(130 * SECOND)[0].remote), None, "by then");
    // The same address in two namespaces is nobody's.
    let twin = Row {
        id: 9,
        isn_own: 1,
        netns_cookie: 77,
        comm: comm("other"),
        ..server()
    };
    world.table.on(Event::Opened(&twin));
    world.settle(4 * SECOND);
    world.table.on(Event::Closed(&virtual_ip));
    assert_eq!(name(&world.settle(5 * SECOND)[0].remote), None);
}

#[test]
fn an_end_without_a_process_is_named_by_its_socket_s_cgroup() {
    let mut world = World::new();
    let made = tapetum_probes::tcp::CgroupMade {
        id: 45,
        hierarchy: 0,
        at_ns: 0,
        level: 2,
        path: b"/system.slice/redis.service",
    };
    world.table.on(Event::CgroupMade(made));
    let row = Row {
        pid: 0,
        comm: [0; 16],
        cgroup_id: 0,
        socket_cgroup_id: 45,
        ..server()
    };
    world.table.on(Event::Opened(&row));
    let row = world.settle(2 * SECOND).remove(0);
    assert_eq!((name(&row.local), row.process), (Some("redis"), None));
}
