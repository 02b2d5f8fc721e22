//! From the kernel's monotonic time to wall-clock time.
//!
//! One offset is used for everything in a batch, so both ends of a span move together and a duration
//! never jumps. It is read anew for every batch but only changes when the clocks really moved against
//! each other: a connection's birth then comes out the same in each of its rows.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tapetum_model::UnixNanos;

/// How far the clocks may seem to drift before it is taken for a step: well above what reading two
/// clocks one after the other costs, well below what a person would notice.
const STEP_NS: u64 = 5_000_000;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) unix: UnixNanos,
    pub(super) monotonic_ns: u64,
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
        let ns = now.unix.0.wrapping_sub(now.monotonic_ns).cast_signed();
        let step = self.ns.map_or(0, |before| before.abs_diff(ns));
        let stepped = step > STEP_NS;
        if stepped || self.ns.is_none() {
            self.ns = Some(ns);
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
}
