//! The records, and what is decided from them.

use super::parse::dispatch;
use super::probe::OBJECT;
use super::{End, Event, Failure, Options, Role, Row, flags};
use crate::loader::{
    Attach, Capability, Hook, Host, Need, Object, Setting, Status, TCP_HOOKS, checks, facts,
};

/// A row as the kernel would write it: its own bytes, with kind and length in front.
fn bytes(kind: u16, row: &Row) -> Vec<u8> {
    // SAFETY: Row is repr(C), made of integers without padding, and `row` is live.
    let body = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(row).cast::<u8>(), size_of::<Row>())
    };
    let mut bytes = body.to_vec();
    bytes[..2].copy_from_slice(&kind.to_ne_bytes());
    bytes[2..4].copy_from_slice(&(size_of::<Row>() as u16).to_ne_bytes());
    bytes
}

#[test]
fn a_row_of_each_kind_becomes_its_event() {
    let row = Row {
        id: 7,
        pid: 42,
        isn_peer: 9,
        ..Row::default()
    };
    for kind in 1..=6_u16 {
        let mut seen = None;
        let known = dispatch(&bytes(kind, &row), &mut |event| {
            seen = match (kind, event) {
                (1, Event::Opened(row))
                | (2, Event::Closed(row))
                | (3, Event::Adopted(row))
                | (4, Event::Swept(row))
                | (5, Event::Listening(row))
                | (6, Event::ListenerClosed(row)) => Some((row.id, row.pid, row.isn_peer)),
                _ => None,
            };
        });
        assert!(known);
        assert_eq!(seen, Some((7, 42, 9)), "kind {kind}");
    }
}

#[test]
fn bytes_that_are_no_record_are_refused_and_hand_on_nothing() {
    let whole = bytes(1, &Row::default());
    let unknown = bytes(77, &Row::default());
    let longer: Vec<u8> = whole.iter().copied().chain([0; 8]).collect();
    let cut: Vec<&[u8]> = (0..whole.len()).map(|length| &whole[..length]).collect();
    for wrong in cut
        .into_iter()
        .chain([unknown.as_slice(), longer.as_slice()])
    {
        let mut handed_on = 0;
        assert!(
            !dispatch(wrong, &mut |_| handed_on += 1),
            "{} bytes",
            wrong.len()
        );
        assert_eq!(handed_on, 0);
    }
}

#[test]
fn sockets_that_did_not_move_come_one_by_one_and_never_more_than_there_is_room_for() {
    let mut told = vec![0_u8; 24 + 8 * 64];
    told[..2].copy_from_slice(&10_u16.to_ne_bytes());
    told[2..4].copy_from_slice(&536_u16.to_ne_bytes());
    told[4..8].copy_from_slice(&3_u32.to_ne_bytes());
    told[8..12].copy_from_slice(&2_u32.to_ne_bytes());
    told[16..24].copy_from_slice(&9_u64.to_ne_bytes());
    told[24..32].copy_from_slice(&7_u64.to_ne_bytes());
    told[32..40].copy_from_slice(&8_u64.to_ne_bytes());
    let mut ids = Vec::new();
    assert!(dispatch(&told, &mut |event| {
        if let Event::Unchanged {
            id,
            sweep: 3,
            at_ns: 9,
        } = event
        {
            ids.push(id);
        }
    }));
    assert_eq!(ids, [7, 8]);
    told[8..12].copy_from_slice(&65_u32.to_ne_bytes());
    assert!(!dispatch(&told, &mut |_| {}));
}

#[test]
fn no_damage_to_a_record_is_too_strange() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut some = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("small")
    };
    let lengths = [16_usize, 40, 232, 536, 544];
    let mut understood = 0;
    for _ in 0..20_000 {
        let length = lengths[some(lengths.len())];
        let mut bytes: Vec<u8> = (0..length).map(|_| some(256) as u8).collect();
        bytes[..2].copy_from_slice(&(some(12) as u16).to_ne_bytes());
        bytes[2..4].copy_from_slice(&(length as u16).to_ne_bytes());
        understood += usize::from(dispatch(&bytes, &mut |event| {
            // Reading everything that a record offers must not panic either.
            if let Event::Opened(row) | Event::Closed(row) = event {
                let _ = (
                    row.local(),
                    row.peer(),
                    row.comm(),
                    row.role(),
                    row.end(),
                    row.failure(),
                );
                let _ = row.assume(Role::Server);
            }
        }));
    }
    assert!(
        understood > 100,
        "{understood} were records: the test damages too much"
    );
}

#[test]
fn a_cgroup_path_longer_than_its_record_is_refused() {
    let mut made = vec![0_u8; 32 + 512];
    made[..2].copy_from_slice(&9_u16.to_ne_bytes());
    made[2..4].copy_from_slice(&544_u16.to_ne_bytes());
    made[16..24].copy_from_slice(&1234_u64.to_ne_bytes());
    made[28..32].copy_from_slice(&5_u32.to_ne_bytes());
    made[32..37].copy_from_slice(b"/pods");
    let mut path = None;
    assert!(dispatch(&made, &mut |event| {
        if let Event::CgroupMade(made) = event {
            path = Some((made.id, made.path.to_vec()));
        }
    }));
    assert_eq!(path, Some((1234, b"/pods".to_vec())));
    made[28..32].copy_from_slice(&513_u32.to_ne_bytes());
    assert!(!dispatch(&made, &mut |_| {}));
}

/// State it died from, errno, flags, whether it was established; what ended it, what failed.
#[rustfmt::skip]
const ENDS: [(u8, u16, u32, bool, End, Option<Failure>); 19] = [
    (9, 0, flags::FIN_SENT | flags::FIN_RECEIVED, true, End::Fin, None),
    (5, 0, flags::FIN_SENT, true, End::Fin, None),
    (11, 0, flags::FIN_SENT, true, End::Fin, None),
    (1, 0, 0, true, End::RstSent, Some(Failure::Reset)),
    (8, 0, flags::FIN_RECEIVED, true, End::RstSent, Some(Failure::Reset)),
    (1, 104, flags::RST_RECEIVED, true, End::RstReceived, Some(Failure::Reset)),
    (4, 104, flags::FIN_SENT | flags::RST_SENT, true, End::RstSent, Some(Failure::Reset)),
    (8, 32, flags::RST_RECEIVED, true, End::RstReceived, Some(Failure::Reset)),
    (1, 110, 0, true, End::Timeout, Some(Failure::Timeout)),
    (1, 113, 0, true, End::Timeout, Some(Failure::HostUnreachable)),
    (1, 103, flags::RST_SENT, true, End::RstSent, Some(Failure::Reset)),
    (2, 111, flags::RST_RECEIVED, false, End::RstReceived, Some(Failure::Refused)),
    (2, 111, 0, false, End::Unknown, Some(Failure::Refused)),
    (2, 110, 0, false, End::Timeout, Some(Failure::Timeout)),
    (2, 113, 0, false, End::Unknown, Some(Failure::HostUnreachable)),
    (2, 101, 0, false, End::Unknown, Some(Failure::NetUnreachable)),
    (2, 13, 0, false, End::Unknown, Some(Failure::Other)),
    (2, 0, 0, false, End::Cancelled, None),
    (7, 0, flags::ADOPTED, true, End::Unknown, None),
];

#[test]
fn ends_and_failures_follow_from_the_facts() {
    for (state, error, flags, established, end, failure) in ENDS {
        let row = Row {
            state,
            error,
            flags,
            established_ns: u64::from(established),
            ..Row::default()
        };
        assert_eq!(
            (row.end(), row.failure()),
            (end, failure),
            "state {state} errno {error}"
        );
    }
}

#[test]
fn who_learns_the_role_of_an_adopted_row_moves_the_syn() {
    let row = Row {
        flags: flags::ISN,
        isn_own: 0,
        bytes_sent: 10,
        ..Row::default()
    };
    let server = row.assume(Role::Server);
    assert_eq!(
        (server.role(), server.isn_own, server.bytes_sent),
        (Role::Server, u32::MAX, 11)
    );
    assert_eq!(server.assume(Role::Client), server);
    let client = row.assume(Role::Client);
    assert_eq!(
        (client.role(), client.isn_own, client.bytes_sent),
        (Role::Client, 0, 10)
    );
}

#[test]
fn mapped_addresses_come_out_as_ipv4() {
    let mut row = Row {
        local_port: 80,
        ..Row::default()
    };
    row.local_address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3];
    assert_eq!(row.local().to_string(), "10.1.2.3:80");
    row.comm[..4].copy_from_slice(b"curl");
    assert_eq!(row.comm(), b"curl");
}

#[test]
fn the_ring_holds_a_whole_sweep_of_the_maximum() {
    for max_connections in [1, 4_096, 65_536, 100_000, 1_000_000] {
        let options = Options {
            max_connections,
            ..Options::default()
        };
        let ring = u64::from(options.ring_size_bytes());
        assert!(ring.is_power_of_two());
        assert!(ring > u64::from(max_connections) * 240, "{max_connections}");
    }
    let small = Options {
        ring_bytes: Some(5_000),
        ..Options::default()
    };
    assert_eq!(small.ring_size_bytes(), 8_192);
}

/// The TCP programs hung on what this kernel does not have, or on what they do not fit.
const ODD_HOOKS: [Hook; 3] = [
    Hook {
        attach: Attach::Tracepoint("no_such_tracepoint"),
        ..TCP_HOOKS[5]
    },
    // One argument where the program reads three: as if the tracepoint had changed.
    Hook {
        attach: Attach::Tracepoint("tcp_destroy_sock"),
        need: Need::Optional,
        ..TCP_HOOKS[0]
    },
    TCP_HOOKS[3],
];

#[test]
fn a_program_that_this_kernel_does_not_take_costs_only_itself() {
    let host = Host::default();
    let facts = facts(&host, &TCP_HOOKS);
    if !(facts.may(Capability::Bpf) && facts.may(Capability::Perfmon)) {
        tapetum_testkit::skip_this("probes", "needs CAP_BPF and CAP_PERFMON to load programs");
        return;
    }
    let setting = Setting {
        config: &[1, 1, 1_000, 0, 0, 0],
        map_size: ("ring", 4_096),
    };
    let mut object = Object::load(OBJECT, &ODD_HOOKS, setting, &host).expect("the rest loads");
    object.attach().expect("the rest attaches");
    let missing: Vec<_> = object
        .missing()
        .iter()
        .map(|missing| missing.hook.program)
        .collect();
    assert_eq!(missing, ["cgroup_made", "set_state"]);
    assert!(
        object
            .missing()
            .iter()
            .all(|missing| !missing.why.is_empty())
    );
    let rows = checks(&facts, &ODD_HOOKS, object.missing());
    let hooks = rows.iter().filter(|row| row.id.starts_with("hook."));
    let status: Vec<_> = hooks.map(|row| row.status).collect();
    assert_eq!(status, [Status::Missing, Status::Missing, Status::Ok]);
}
