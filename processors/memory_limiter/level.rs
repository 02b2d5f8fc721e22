//! Where the memory stands, with hysteresis.

use tapetum_pipeline::Pressure;

use super::config::Config;

/// The limits in bytes.
pub(super) struct Limits {
    soft: u64,
    hard: u64,
    hysteresis: u64,
}

/// Which limit was reached and not left again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level(Pressure);

impl Limits {
    pub(super) fn of(whole: u64, config: &Config) -> Self {
        let share = |rate: f64| (whole as f64 * rate) as u64;
        Self {
            soft: share(config.soft.0),
            hard: share(config.hard.0),
            hysteresis: share(config.hysteresis.0),
        }
    }
}

impl Level {
    pub(super) fn pressure(self) -> Pressure {
        self.0
    }

    /// Rises at a limit, falls only below it by the hysteresis.
    pub(super) fn follow(&mut self, used: u64, limits: &Limits) {
        let back = |limit: u64| limit.saturating_sub(limits.hysteresis);
        let holds =
            |limit: u64, level: Pressure| used >= limit || (self.0 >= level && used >= back(limit));
        self.0 = if holds(limits.hard, Pressure::Full) {
            Pressure::Full
        } else if holds(limits.soft, Pressure::Some) {
            Pressure::Some
        } else {
            Pressure::None
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        soft: 80,
        hard: 90,
        hysteresis: 5,
    };

    #[test]
    fn it_rises_at_a_limit_and_falls_below_it() {
        let mut level = Level::default();
        let mut at = |used| {
            level.follow(used, &LIMITS);
            level.pressure()
        };
        use Pressure as P;
        let way = [79, 80, 79, 75, 74, 90, 86, 85, 84, 80, 75, 74].map(&mut at);
        let meant = [
            P::None,
            P::Some,
            P::Some,
            P::Some,
            P::None,
            P::Full,
            P::Full,
            P::Full,
            P::Some,
            P::Some,
            P::Some,
            P::None,
        ];
        assert_eq!(way, meant);
    }

    proptest! {
        #[test]
        fn what_is_above_a_limit_is_never_let_in_and_what_is_far_below_always(
            way in prop::collection::vec(0u64..120, 1..200)
        ) {
            let mut level = Level::default();
            for used in way {
                level.follow(used, &LIMITS);
                let now = level.pressure();
                prop_assert!(used < 80 || now >= Pressure::Some);
                prop_assert!(used < 90 || now == Pressure::Full);
                prop_assert!(used >= 75 || now == Pressure::None);
                prop_assert!(used >= 85 || now <= Pressure::Some);
            }
        }
    }
}
