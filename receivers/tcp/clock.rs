//! From the kernel's monotonic time to wall-clock time.
//!
//! One offset is used for everything in a batch, so both ends of a span move together and a duration
//! never jumps. It is read anew for every batch but only changes when the clocks really moved against
//! each other: a connection's birth then comes out the same in each of its rows.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tapetum_model::UnixNanos;
use tapetum_pipeline::Clock;

/// How far the clocks may seem to drift before it is taken for a step: well above what reading two
/// clocks one after the other costs, well below what a person would notice.
const STEP_NS: u64 = 5_000_000;
/// A reading within this needs no other: times are to be right to 20 ms.
const WITHIN_NS: u64 = 1_000_000;
/// How often the clocks are read at most, where this thread is held up between the two each time.
const READS_MAX: usize = 8;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) unix: UnixNanos,
    pub(super) monotonic_ns: u64,
    /// How much later the monotonic clock may have stood when the wall clock was read.
    pub(super) within_ns: u64,
}

impl Moment {
    /// Now: the wall clock between two readings of the monotonic one. A thread that is held up in
    /// between must not see a step where there is none.
    pub(super) fn now(clock: &dyn Clock) -> Self {
        let read = || {
            let monotonic_ns = monotonic_ns();
            let unix = clock.now().unix;
            Self {
                unix,
                monotonic_ns,
                within_ns: self::monotonic_ns().saturating_sub(monotonic_ns),
            }
        };
        let mut best = read();
        for _ in 1..READS_MAX {
            if best.within_ns <= WITHIN_NS {
                break;
            }
            let next = read();
            if next.within_ns < best.within_ns {
                best = next;
            }
        }
        best
    }
}

/// Wall clock less monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    ns: Option<i64>,
}

/// The kernel's monotonic time, as the probe's rows have it.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

impl Offset {
    /// Takes both clocks' word. `Some`: the wall clock was stepped by that much since the last time.
    pub(super) fn read(&mut self, now: Moment) -> Option<Duration> {
        // It is this, or less by as much as the reading took.
        let ns = now.unix.0.wrapping_sub(now.monotonic_ns).cast_signed();
        let least = ns.saturating_sub_unsigned(now.within_ns);
        let nearest = |before: i64| before.clamp(least, ns);
        let step = self.ns.map_or(0, |before| before.abs_diff(nearest(before)));
        let stepped = step > STEP_NS;
        if stepped || self.ns.is_none() {
            self.ns = Some(ns.saturating_sub_unsigned(now.within_ns / 2));
        }
        stepped.then(|| Duration::from_nanos(step))
    }

    /// The wall-clock time of a monotonic one.
    pub(super) fn wall(self, monotonic_ns: u64) -> UnixNanos {
        UnixNanos(monotonic_ns.saturating_add_signed(self.ns.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix: u64, monotonic_ns: u64) -> Moment {
        Moment {
            unix: UnixNanos(unix),
            monotonic_ns,
            within_ns: 0,
        }
    }

    #[test]
    fn a_birth_is_the_same_in_every_row() {
        let mut offset = Offset::default();
        assert_eq!(offset.read(at(10_000_000_000, 1_000_000_000)), None);
        let born = offset.wall(500_000_000);
        assert_eq!(born, UnixNanos(9_500_000_000));
        assert_eq!(
            offset.read(at(20_000_003_000, 11_000_000_000)),
            None,
            "3 µs between two reads"
        );
        assert_eq!(offset.wall(500_000_000), born);
    }

    #[test]
    fn a_step_is_noticed_and_moves_both_ends_of_a_span() {
        let mut offset = Offset::default();
        offset.read(at(10_000_000_000, 1_000_000_000));
        let stepped = offset.read(at(7_000_000_000, 2_000_000_000));
        assert_eq!(stepped, Some(Duration::from_secs(4)));
        let (start, end) = (offset.wall(1_500_000_000), offset.wall(1_900_000_000));
        assert_eq!(end.since(start), Duration::from_millis(400));
        assert_eq!(end, UnixNanos(6_900_000_000));
    }
    #[test]
    fn to_be_held_up_between_two_readings_is_no_step() {
        let mut offset = Offset::default();
        offset.read(at(10_000_000_000, 1_000_000_000));
        let before = offset.wall(1_500_000_000);
        let held_up = Moment {
            within_ns: 14_000_000,
            ..at(11_014_000_000, 2_000_000_000)
        };
        assert_eq!(offset.read(held_up), None);
        assert_eq!(offset.wall(1_500_000_000), before);
        let stepped = Moment {
            unix: UnixNanos(11_020_000_000),
            ..held_up
        };
        let by = offset.read(stepped).expect("6 ms more than it took");
        assert_eq!(by, Duration::from_millis(6));
    }

    /// A wall clock that is late by what a busy machine may take, but for its third answer.
    struct Slow(std::sync::atomic::AtomicU32);

    impl Clock for Slow {
        fn now(&self) -> tapetum_pipeline::Now {
            let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if asked < 2 {
                std::thread::sleep(Duration::from_millis(2));
            }
            tapetum_pipeline::Now {
                unix: UnixNanos(u64::from(asked)),
                monotonic: Duration::ZERO,
            }
        }
    }

    #[test]
    fn of_several_readings_the_narrowest_counts() {
        let clock = Slow(0.into());
        let now = Moment::now(&clock);
        assert!(now.unix.0 >= 2, "one that took 2 ms was taken: {now:?}");
        assert!(clock.0.into_inner() <= READS_MAX as u32);
    }
}
