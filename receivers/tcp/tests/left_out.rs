//! What is left out, and counted: the agent's own connections, the kubelet's probes, loopback.

use tapetum_probes::tcp::{Event, Row, flags};

use super::world::{OWN_PID, SECOND, World, between, client, comm, server};

#[test]
fn loopback_and_the_agent_itself_are_left_out_and_counted_once() {
    let mut world = World::new();
    let loops = between(client(), "127.0.0.1:40000", "127.1.2.3:80");
    let loops = Row {
        flags: flags::ISN | flags::ANNOUNCED,
        ..loops
    };
    let own = Row {
        id: 8,
        pid: OWN_PID,
        ..client()
    };
    world.table.on(Event::Opened(&loops));
    world.table.on(Event::Opened(&own));
    world.table.on(Event::Closed(&Row { state: 5, ..loops }));
    let half = between(Row { id: 9, ..client() }, "127.0.0.1:40000", "10.0.0.2:80");
    world.table.on(Event::Opened(&half));
    let other_half = between(Row { id: 10, ..client() }, "10.0.0.1:41000", "127.0.0.1:80");
    world.table.on(Event::Opened(&other_half));
    let rows = world.sweep(
        10 * SECOND,
        &[
            Row {
                flags: flags::ISN | flags::ANNOUNCED,
                ..own
            },
            half,
            other_half,
        ],
    );
    assert_eq!(rows.len(), 2, "one end alone on the loopback is seen");
    assert_eq!((world.counted("loopback"), world.counted("self")), (1, 1));

    let other = OWN_PID + 1;
    world.table.rules.exclude.known_as(other);
    let (was, is) = (
        Row { id: 20, ..own },
        Row {
            id: 21,
            pid: other,
            ..own
        },
    );
    world.table.on(Event::Opened(&was));
    world.table.on(Event::Opened(&is));
    assert_eq!(
        world.settle(20 * SECOND).len(),
        1,
        "whose number it only was"
    );
    assert_eq!(world.counted("self"), 2);
}

#[test]
fn a_probe_of_the_kubelet_is_left_out_at_both_ends() {
    let container = "c".repeat(64);
    let path = format!("/kubepods/burstable/pod0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9/{container}");
    let made = tapetum_probes::tcp::CgroupMade {
        id: 44,
        hierarchy: 0,
        at_ns: 0,
        level: 4,
        path: path.as_bytes(),
    };
    let probing = Row {
        comm: comm("kubelet"),
        ..client()
    };
    let mut world = World::new();
    world.table.on(Event::CgroupMade(made));
    world.table.on(Event::Opened(&probing));
    world.table.on(Event::Opened(&Row {
        cgroup_id: 44,
        ..server()
    }));
    assert!(world.settle(2 * SECOND).is_empty());
    let moved = Row {
        bytes_sent: 90,
        flags: flags::ISN | flags::ANNOUNCED,
        ..probing
    };
    assert!(world.sweep(10 * SECOND, &[moved]).is_empty());
    world.table.on(Event::Closed(&Row { state: 5, ..moved }));
    assert!(world.settle(11 * SECOND).is_empty());
    assert_eq!(world.counted("kubelet-probes"), 2);
    // Nobody accepts there any more, but it was a pod.
    let refused = Row {
        id: 3,
        established_ns: 0,
        error: 111,
        state: 2,
        flags: 0,
        born_ns: 12 * SECOND,
        ..probing
    };
    world.table.on(Event::Closed(&refused));
    assert!(world.settle(12 * SECOND).is_empty());
    assert_eq!(world.counted("kubelet-probes"), 3);
    // The kubelet's other connections are seen, and so is a pod that calls itself so.
    let elsewhere = between(probing, "10.0.0.1:40000", "10.0.0.9:80");
    let disguised = Row {
        id: 5,
        isn_own: 6,
        cgroup_id: 44,
        ..probing
    };
    for other in [
        Row {
            id: 4,
            isn_own: 5,
            ..elsewhere
        },
        disguised,
    ] {
        world.table.on(Event::Opened(&other));
        assert_eq!(world.settle(13 * SECOND).len(), 1);
    }
}
