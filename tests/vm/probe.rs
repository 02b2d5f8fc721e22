//! What the probe says on each kernel, against what the guest's own programs counted.

use serde_json::json;

use crate::boots;
use crate::judge::{check, distinct, matched, number, of, same_bytes, same_numbers, unchanged};

/// Ends of the connections that the guest makes before the probe.
const OLD_ENDS: usize = 6;

#[test]
fn what_these_kernels_lack_is_a_row_of_doctor_and_nothing_worse() {
    for boot in boots() {
        let rows = check(boot, "doctor").more.as_array().expect("rows");
        let not_ok: Vec<_> = rows.iter().filter(|row| row["status"] != "ok").collect();
        // Nothing in the guest loaded the connection tracking modules.
        let ids: Vec<_> = not_ok
            .iter()
            .map(|row| row["id"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(ids, ["host.conntrack"], "{}", boot.package);
        for row in not_ok {
            assert_eq!(row["fatal"], false, "{row}");
            assert!(
                row["lost"].as_str().is_some_and(|lost| !lost.is_empty()),
                "{row}"
            );
            assert!(
                row["advice"]
                    .as_str()
                    .is_some_and(|advice| !advice.is_empty()),
                "{row}"
            );
        }
        let hooks = rows
            .iter()
            .filter(|row| row["id"].as_str().unwrap_or_default().starts_with("hook."));
        assert!(hooks.count() >= 6, "{rows:?}");
    }
}

#[test]
fn connections_older_than_the_probe_are_adopted_with_their_bytes_and_numbers() {
    for boot in boots() {
        let adoption = check(boot, "adoption");
        assert_eq!(of(adoption, "Adopted").len(), OLD_ENDS);
        assert_eq!(number(adoption, "connections"), OLD_ENDS as u64);
        assert_eq!(number(adoption, "untold"), 0);
        same_bytes(adoption, "Adopted");
        same_numbers(adoption, "Adopted");
        distinct(adoption, "Adopted");
        let listeners = of(adoption, "Listening");
        assert_eq!(listeners.len(), 1, "{listeners:?}");
        assert_eq!(number(adoption, "listeners"), 1);
        for (counted, seen) in matched(adoption, "Adopted") {
            assert_eq!(seen.pid, counted.pid, "{seen:?}");
            assert_eq!(
                seen.netns == listeners[0].netns,
                counted.accepted,
                "{seen:?}"
            );
        }
    }
}

#[test]
fn a_birth_is_told_at_both_ends_with_process_group_and_namespace() {
    for boot in boots() {
        let (adoption, birth) = (check(boot, "adoption"), check(boot, "birth"));
        assert_eq!(of(birth, "Opened").len(), 2);
        same_numbers(birth, "Opened");
        distinct(birth, "Opened");
        let listener = of(adoption, "Listening")[0];
        for (counted, seen) in matched(birth, "Opened") {
            assert_eq!(seen.pid, counted.pid);
            assert_ne!(seen.id, listener.id, "a connection with its listener's id");
            if counted.accepted {
                assert_eq!(u64::from(seen.pid), number(adoption, "pid"));
                assert_eq!(seen.comm, "far-server");
                assert_eq!(seen.cgroup, number(adoption, "cgroup"));
                assert_eq!(seen.netns, listener.netns);
            } else {
                assert_eq!(seen.comm, "init");
                assert_ne!(seen.cgroup, number(adoption, "cgroup"));
                assert_ne!(seen.netns, listener.netns);
            }
        }
    }
}

#[test]
fn a_sweep_is_whole_and_exact() {
    for boot in boots() {
        let sweep = check(boot, "sweep");
        assert_eq!(number(sweep, "lost"), 0);
        assert_eq!(sweep.counted.len(), OLD_ENDS + 2);
        assert_eq!(of(sweep, "Swept").len(), sweep.counted.len());
        assert_eq!(
            number(sweep, "rows"),
            sweep.counted.len() as u64 + 1,
            "and the listener"
        );
        same_bytes(sweep, "Swept");
        same_numbers(sweep, "Swept");
        assert_eq!(
            unchanged((check(boot, "adoption"), "Adopted"), (sweep, "Swept")),
            OLD_ENDS
        );
        assert_eq!(
            unchanged((check(boot, "birth"), "Opened"), (sweep, "Swept")),
            2
        );
    }
}

#[test]
fn a_close_is_told_once_with_the_lifetimes_bytes() {
    for boot in boots() {
        let close = check(boot, "close");
        assert_eq!(of(close, "Closed").len(), OLD_ENDS + 2);
        same_bytes(close, "Closed");
        same_numbers(close, "Closed");
        let swept = (check(boot, "sweep"), "Swept");
        assert_eq!(unchanged(swept, (close, "Closed")), OLD_ENDS + 2);
        for seen in of(close, "Closed") {
            assert_eq!(
                (seen.end.as_str(), &seen.failure),
                ("Fin", &None),
                "{seen:?}"
            );
        }
    }
}

#[test]
fn a_refused_connect_and_a_reset_are_told_as_such() {
    for boot in boots() {
        let refused = of(check(boot, "refused"), "Closed");
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].failure.as_deref(), Some("Refused"));
        assert!(refused[0].peer.ends_with(":1"), "{refused:?}");

        let reset = check(boot, "reset");
        same_bytes(reset, "Closed");
        for (counted, seen) in matched(reset, "Closed") {
            let end = if counted.accepted {
                "RstReceived"
            } else {
                "RstSent"
            };
            assert_eq!(
                (seen.end.as_str(), seen.failure.as_deref()),
                (end, Some("Reset"))
            );
        }
    }
}

#[test]
fn each_of_many_short_connections_is_told_once_at_each_end() {
    for boot in boots() {
        let short = check(boot, "short");
        assert_eq!(short.counted.len(), 600);
        for event in ["Opened", "Closed"] {
            assert_eq!(of(short, event).len(), short.counted.len());
            same_numbers(short, event);
            distinct(short, event);
        }
        same_bytes(short, "Closed");
        assert_eq!(
            unchanged((short, "Opened"), (short, "Closed")),
            short.counted.len()
        );
    }
}

#[test]
fn a_control_group_is_told_when_it_is_made() {
    for boot in boots() {
        let cgroup = check(boot, "cgroup");
        let made = json!([{ "id": number(cgroup, "id"), "path": "/far/late", "level": 2 }]);
        assert_eq!(cgroup.more["made"], made);
    }
}

#[test]
fn the_probes_own_books_close() {
    for boot in boots() {
        let totals = check(boot, "totals");
        let of = |name| number(totals, name);
        // Two ends each: one connection, one reset, the short ones; and one end that was refused.
        assert_eq!(of("births"), 2 + 2 + 600 + 1);
        assert_eq!(of("opened"), of("births") - 1);
        assert_eq!(of("adopted"), OLD_ENDS as u64);
        assert_eq!(of("closes"), of("births") + of("adopted"));
        assert_eq!((of("tracked"), of("listeners")), (0, 1));
        let never = ["lost", "no_memory", "ghosts", "malformed"];
        assert_eq!(never.map(of), [0; 4], "{}", totals.more);
    }
}
