//! What the tests ask of one boot's report: its checks by name, its records by the end that they are of.

use std::collections::BTreeSet;
use std::iter;

use tapetum_vm::machine::Boot;
use tapetum_vm::report::{Check, Counted, Seen};

/// The check of this name; a guest that did not report it fails the test.
pub(crate) fn check<'a>(boot: &'a Boot, name: &str) -> &'a Check {
    boot.checks
        .iter()
        .find(|check| check.check == name)
        .unwrap_or_else(|| panic!("{}: the guest reported no {name}", boot.package))
}

/// A number that only this check has.
pub(crate) fn number(check: &Check, name: &str) -> u64 {
    check.more[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{} has no {name}", check.check))
}

/// The records of one kind.
pub(crate) fn of<'a>(check: &'a Check, event: &str) -> Vec<&'a Seen> {
    check
        .seen
        .iter()
        .filter(|seen| seen.event == event)
        .collect()
}

/// Each end that was counted beside the one record of this kind that is of it: exactly one, with the
/// role that the end had.
pub(crate) fn matched<'a>(check: &'a Check, event: &str) -> Vec<(&'a Counted, &'a Seen)> {
    let seen = of(check, event);
    let one = |counted: &'a Counted| {
        let is = |seen: &&&Seen| seen.local == counted.local && seen.peer == counted.peer;
        let mut records = seen.iter().filter(is);
        let (Some(record), None) = (records.next(), records.next()) else {
            panic!(
                "{}: not one {event} record of {counted:?}: {seen:?}",
                check.check
            );
        };
        let role = if counted.accepted { "server" } else { "client" };
        assert_eq!(record.role, role, "{}: {record:?}", check.check);
        (counted, *record)
    };
    check.counted.iter().map(one).collect()
}

/// Asserts that every end's payload is, to the byte, what its own program counted.
pub(crate) fn same_bytes(check: &Check, event: &str) {
    for (counted, seen) in matched(check, event) {
        let (counted, seen) = ((counted.sent, counted.received), (seen.sent, seen.received));
        assert_eq!(seen, counted, "{}: sent, received", check.check);
    }
}

/// Asserts that both ends of each connection state the same pair of initial sequence numbers, of
/// which the trace's id is made, and that no two connections share one.
pub(crate) fn same_numbers(check: &Check, event: &str) {
    let seen = of(check, event);
    let mut pairs = BTreeSet::new();
    for one in seen.iter().filter(|seen| seen.role == "client") {
        let crossed = (one.peer.as_str(), one.local.as_str());
        let is = |other: &&&Seen| (other.local.as_str(), other.peer.as_str()) == crossed;
        let other = seen.iter().find(is);
        let other = other.unwrap_or_else(|| panic!("{}: no other end of {one:?}", check.check));
        assert!(one.isn_own.is_some() && one.isn_peer.is_some(), "{one:?}");
        assert_eq!(
            (one.isn_own, one.isn_peer),
            (other.isn_peer, other.isn_own),
            "{one:?} {other:?}"
        );
        assert!(
            pairs.insert((one.isn_own, one.isn_peer)),
            "{}: twice {one:?}",
            check.check
        );
    }
    assert_eq!(
        pairs.len() * 2,
        seen.len(),
        "{}: an end without another",
        check.check
    );
}

/// Asserts that no two of these records are of the same socket.
pub(crate) fn distinct(check: &Check, event: &str) {
    let seen = of(check, event);
    let ids: BTreeSet<u64> = seen.iter().map(|seen| seen.id).collect();
    assert_eq!(
        ids.len(),
        seen.len(),
        "{}: sockets that share an id: {seen:?}",
        check.check
    );
}

/// Asserts that the later check's records tell the same ids and numbers for the same ends, and
/// gives how many ends are in both.
pub(crate) fn unchanged(earlier: (&Check, &str), later: (&Check, &str)) -> usize {
    let later_seen = of(later.0, later.1);
    let both = of(earlier.0, earlier.1).into_iter().flat_map(|before| {
        let is = |after: &&&Seen| after.local == before.local && after.peer == before.peer;
        iter::repeat(before)
            .zip(later_seen.iter().filter(is))
            .collect::<Vec<_>>()
    });
    let mut count = 0;
    for (before, after) in both {
        let of = |seen: &Seen| (seen.id, seen.isn_own, seen.isn_peer, seen.pid, seen.cgroup);
        assert_eq!(of(after), of(before), "{before:?} {after:?}");
        count += 1;
    }
    count
}
