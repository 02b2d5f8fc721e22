//! How long to wait: before a message is sent again, and before a component that failed is rebuilt.

use std::time::Duration;

use crate::RetrySpec;
use crate::random::Random;

/// The waits of one message: doubling, with full jitter, never earlier than the backend asked, and
/// with a last try when it is time to give up.
#[derive(Debug)]
pub(crate) struct Retry {
    spec: RetrySpec,
    tries: u32,
}

/// The waits of one component.
#[derive(Debug, Default)]
pub(crate) struct Restart {
    times: u32,
}

const RESTART_FIRST: Duration = Duration::from_millis(100);
const RESTART_MOST: Duration = Duration::from_secs(30);
/// A component that ran this long is no longer the one that failed.
const RESTART_FORGET: Duration = Duration::from_secs(60);

impl Retry {
    pub(crate) fn new(spec: RetrySpec) -> Self {
        Self { spec, tries: 0 }
    }

    /// The next wait after `elapsed` since the first try; `None`: give up.
    pub(crate) fn wait(
        &mut self,
        elapsed: Duration,
        after: Option<Duration>,
        random: &mut Random,
    ) -> Option<Duration> {
        let left = self
            .spec
            .give_up
            .checked_sub(elapsed)
            .filter(|left| !left.is_zero())?;
        let ceiling = self
            .spec
            .first
            .saturating_mul(2u32.saturating_pow(self.tries))
            .min(self.spec.most);
        self.tries += 1;
        let jittered = random.up_to(ceiling);
        Some(jittered.max(after.unwrap_or_default()).min(left))
    }
}

impl Restart {
    /// The next wait, of a component that had run for `lived`.
    pub(crate) fn wait(&mut self, lived: Duration) -> Duration {
        if lived >= RESTART_FORGET {
            self.times = 0;
        }
        let wait = RESTART_FIRST.saturating_mul(2u32.saturating_pow(self.times));
        self.times += 1;
        wait.min(RESTART_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: RetrySpec = RetrySpec {
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
        give_up: Duration::from_secs(900),
    };

    #[test]
    fn waits_are_jittered_below_a_ceiling_that_doubles() {
        let mut highest = [Duration::ZERO; 8];
        let mut lowest = [Duration::MAX; 8];
        for seed in 0..500 {
            let (mut retry, mut random) = (Retry::new(SPEC), Random::new(seed, 0));
            for nth in 0..8 {
                let wait = retry.wait(Duration::ZERO, None, &mut random).unwrap();
                highest[nth] = highest[nth].max(wait);
                lowest[nth] = lowest[nth].min(wait);
            }
        }
        for (nth, ceiling) in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
            .into_iter()
            .enumerate()
        {
            assert!(
                highest[nth].as_secs_f64() <= ceiling,
                "{nth}: {:?}",
                highest[nth]
            );
            assert!(
                highest[nth].as_secs_f64() > ceiling * 0.95,
                "{nth}: {:?}",
                highest[nth]
            );
            assert!(
                lowest[nth].as_secs_f64() < ceiling * 0.05,
                "{nth}: {:?}",
                lowest[nth]
            );
        }
    }

    #[test]
    fn a_hint_is_a_floor_and_giving_up_is_a_limit_with_a_last_try() {
        let mut random = Random::new(1, 1);
        let mut retry = Retry::new(SPEC);
        let hint = Some(Duration::from_secs(120));
        let wait = retry.wait(Duration::ZERO, hint, &mut random);
        assert_eq!(wait, hint);
        let wait = retry.wait(Duration::from_secs(890), hint, &mut random);
        assert_eq!(wait, Some(Duration::from_secs(10)));
        assert_eq!(
            retry.wait(Duration::from_secs(900), hint, &mut random),
            None
        );
    }

    #[test]
    fn a_restart_waits_longer_each_time_up_to_a_cap_and_forgets() {
        let mut restart = Restart::default();
        let waits: Vec<u128> = (0..12)
            .map(|_| restart.wait(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(waits[..4], [100, 200, 400, 800]);
        assert_eq!(waits[9..], [30_000, 30_000, 30_000]);
        assert_eq!(restart.wait(RESTART_FORGET), RESTART_FIRST);
    }
}
