//! What is left out by default, because nobody asks for it: each is counted.

use tapetum_model::{Attr, Metric};
use tapetum_pipeline::{Counter, Telemetry};
use tapetum_probes::tcp::{Role, Row};

/// Processes that are a kubelet, or have one inside: k3s and MicroK8s put all of a node into one.
const KUBELETS: [&[u8]; 4] = [b"kubelet", b"k3s-server", b"k3s-agent", b"kubelite"];

/// What can be left out, as the file calls it.
pub(super) const REASONS: [&str; 3] = ["self", "kubelet-probes", "loopback"];

/// The reasons that are on, and what they left out.
#[derive(Debug, Default)]
pub(super) struct Exclude {
    own_pid: Option<u32>,
    loopback: bool,
    kubelet: bool,
    counters: [Counter; 3],
}

impl Exclude {
    /// Of the words in the file; `own_pid` as this process knows itself.
    pub(super) fn new(words: &[String], own_pid: u32, telemetry: &Telemetry) -> Self {
        let on = |reason: &str| words.iter().any(|word| word == reason);
        Self {
            own_pid: on(REASONS[0]).then_some(own_pid),
            kubelet: on(REASONS[1]),
            loopback: on(REASONS[2]),
            counters: REASONS.map(|reason| {
                telemetry.counter(Metric::RecordsFiltered, &[(Attr::Reason, reason)])
            }),
        }
    }

    /// The number that the kernel's rows have for this process: another one, where it is in a PID
    /// namespace of its own.
    pub(super) fn known_as(&mut self, pid: u32) {
        if let Some(own) = &mut self.own_pid {
            *own = pid;
        }
    }

    /// Whether a row is left out for what it says itself. Counted when the row is a connection's first.
    pub(super) fn drops(&self, row: &Row, first: bool) -> bool {
        let reason = if self.own_pid.is_some_and(|pid| pid == row.pid) {
            0
        } else if self.loopback && row.local().ip().is_loopback() && row.peer().ip().is_loopback() {
            2
        } else {
            return false;
        };
        if first {
            self.counters[reason].add(1);
        }
        true
    }

    /// Whether a connection may be a probe of the kubelet: decided when its other end is known.
    pub(super) fn suspects(&self, row: &Row) -> bool {
        self.kubelet && row.role() == Role::Client && KUBELETS.contains(&row.comm())
    }

    /// A probe of the kubelet was left out, at one of its ends.
    pub(super) fn probe_dropped(&self) {
        self.counters[1].add(1);
    }
}
