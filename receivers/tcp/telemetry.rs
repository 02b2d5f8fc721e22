//! What the receiver says of itself: losses by stage, what is tracked, what sweeps and programs cost.

use std::collections::HashMap;

use tapetum_model::{Attr, Loss, LossStage, Metric};
use tapetum_pipeline::{Counter, Gauge, Telemetry};
use tapetum_probes::tcp::{Counters, ProgramStats};

use super::table::Noticed;

/// Turns counts since the start into counters of ours, and into the loss of the next batch.
pub(super) struct Tell {
    telemetry: Telemetry,
    tracked: Gauge,
    sweep: Gauge,
    elsewhere: Counter,
    lost: [(LossKind, Counter); 7],
    programs: HashMap<&'static str, (Program, Counter, Counter)>,
    before: Counters,
    pending: Loss,
}

/// What is lost, as a count of the probe.
#[derive(Clone, Copy)]
struct LossKind {
    stage: LossStage,
    reason: &'static str,
    count: fn(&Counters) -> u64,
}

#[derive(Clone, Copy, Default)]
struct Program {
    runs: u64,
    run_time_ns: u64,
}

/// Why the kernel's side left a connection out that is not this node's.
const OTHER_NODE: &str = "other_node";

/// A listener or a cgroup that was not told is no record of a connection: its name is learnt elsewhere.
const LOST: [LossKind; 7] = [
    lost(LossStage::Ring, "birth", |now| {
        now.ring_lost.opened + now.ring_lost.adopted
    }),
    lost(LossStage::Ring, "close", |now| now.ring_lost.closed),
    lost(LossStage::Ring, "sweep", |now| {
        now.ring_lost.swept + now.ring_lost.sweep_marks
    }),
    lost(LossStage::Ring, "listener", |now| now.ring_lost.listeners),
    lost(LossStage::Ring, "cgroup", |now| now.ring_lost.cgroups),
    lost(LossStage::Limit, "max_connections", |now| now.over_limit),
    lost(LossStage::Limit, "kernel_memory", |now| now.no_memory),
];

const fn lost(stage: LossStage, reason: &'static str, count: fn(&Counters) -> u64) -> LossKind {
    LossKind {
        stage,
        reason,
        count,
    }
}

impl Tell {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self {
            tracked: telemetry.gauge(Metric::ConnectionsTracked, &[]),
            sweep: telemetry.gauge(Metric::SweepDuration, &[]),
            elsewhere: telemetry.counter(Metric::RecordsFiltered, &[(Attr::Reason, OTHER_NODE)]),
            lost: LOST.map(|kind| {
                let labels = [
                    (Attr::Stage, kind.stage.name()),
                    (Attr::Reason, kind.reason),
                ];
                (kind, telemetry.counter(Metric::RecordsLost, &labels))
            }),
            programs: HashMap::new(),
            before: Counters::default(),
            pending: Loss::default(),
            telemetry: telemetry.clone(),
        }
    }

    /// Takes in the probe's counts of now, and what the table noticed since the last time.
    pub(super) fn counts(&mut self, now: Counters, noticed: Noticed) {
        for (kind, counter) in &self.lost {
            let lost = (kind.count)(&now).saturating_sub((kind.count)(&self.before));
            counter.add(lost);
            match kind.stage {
                LossStage::Ring => self.pending.ring += lost,
                LossStage::Limit => self.pending.limit += lost,
                LossStage::Queue => self.pending.queue += lost,
            }
        }
        if noticed.over_limit > 0 {
            let labels = [
                (Attr::Stage, LossStage::Limit.name()),
                (Attr::Reason, "table"),
            ];
            self.telemetry
                .counter(Metric::RecordsLost, &labels)
                .add(noticed.over_limit);
            self.pending.limit += noticed.over_limit;
        }
        self.elsewhere
            .add(now.elsewhere.saturating_sub(self.before.elsewhere));
        self.before = now;
    }

    /// What was lost since this was asked last: it goes out with the next batch.
    pub(super) fn loss(&mut self) -> Loss {
        std::mem::take(&mut self.pending)
    }

    pub(super) fn swept(&mut self, duration_ns: u64, tracked: usize, programs: &[ProgramStats]) {
        self.sweep
            .set(i64::try_from(duration_ns).unwrap_or(i64::MAX));
        self.tracked.set(i64::try_from(tracked).unwrap_or(i64::MAX));
        for program in programs {
            let telemetry = &self.telemetry;
            let (before, runs, run_time) = self.programs.entry(program.name).or_insert_with(|| {
                let labels = [(Attr::Probe, "tcp"), (Attr::Program, program.name)];
                let runs = telemetry.counter(Metric::ProbeRuns, &labels);
                (
                    Program::default(),
                    runs,
                    telemetry.counter(Metric::ProbeRunTime, &labels),
                )
            });
            runs.add(program.runs.saturating_sub(before.runs));
            run_time.add(program.run_time_ns.saturating_sub(before.run_time_ns));
            *before = Program {
                runs: program.runs,
                run_time_ns: program.run_time_ns,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use tapetum_probes::tcp::RingLost;

    use super::*;

    fn counter(telemetry: &Telemetry, stage: &str, reason: &str) -> u64 {
        let labels = [(Attr::Stage, stage), (Attr::Reason, reason)];
        telemetry.counter(Metric::RecordsLost, &labels).value()
    }

    #[test]
    fn a_loss_is_counted_once_and_goes_out_with_the_next_batch() {
        let telemetry = Telemetry::default();
        let mut tell = Tell::new(&telemetry);
        let mut now = Counters {
            over_limit: 3,
            ring_lost: RingLost {
                opened: 1,
                closed: 2,
                ..RingLost::default()
            },
            ..Counters::default()
        };
        tell.counts(now, Noticed::default());
        let lost = Loss {
            ring: 3,
            limit: 3,
            queue: 0,
        };
        assert_eq!(tell.loss(), lost);
        assert_eq!(tell.loss(), Loss::default(), "zero is said");
        now.ring_lost.closed = 5;
        let noticed = Noticed {
            over_limit: 4,
            ..Noticed::default()
        };
        tell.counts(now, noticed);
        let lost = Loss {
            ring: 3,
            limit: 4,
            queue: 0,
        };
        assert_eq!(tell.loss(), lost);
        assert_eq!(counter(&telemetry, "ring", "birth"), 1);
        assert_eq!(counter(&telemetry, "ring", "close"), 5);
        assert_eq!(counter(&telemetry, "limit", "max_connections"), 3);
        assert_eq!(counter(&telemetry, "limit", "table"), 4);
    }

    #[test]
    fn what_is_on_another_node_is_filtered_and_not_lost() {
        let telemetry = Telemetry::default();
        let mut tell = Tell::new(&telemetry);
        for elsewhere in [3, 3, 7] {
            let now = Counters {
                elsewhere,
                ..Counters::default()
            };
            tell.counts(now, Noticed::default());
        }
        let filtered = telemetry.counter(Metric::RecordsFiltered, &[(Attr::Reason, OTHER_NODE)]);
        assert_eq!((filtered.value(), tell.loss()), (7, Loss::default()));
    }

    #[test]
    fn programs_are_counted_by_what_they_did_since_the_last_sweep() {
        let telemetry = Telemetry::default();
        let mut tell = Tell::new(&telemetry);
        for (runs, run_time_ns) in [(5, 500), (9, 800)] {
            let program = ProgramStats {
                name: "set_state",
                runs,
                run_time_ns,
            };
            tell.swept(1_000, 7, &[program]);
        }
        let labels = [(Attr::Probe, "tcp"), (Attr::Program, "set_state")];
        assert_eq!(telemetry.counter(Metric::ProbeRuns, &labels).value(), 9);
        assert_eq!(
            telemetry.counter(Metric::ProbeRunTime, &labels).value(),
            800
        );
        assert_eq!(telemetry.gauge(Metric::ConnectionsTracked, &[]).value(), 7);
    }
}
