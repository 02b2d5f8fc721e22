//! How long the watch waits for what, and how it spreads its tries.

use std::time::Duration;

/// Times of the watch. Tests have shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// The first wait after a failure; each next one is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// How long an answer may take to begin, and each part of a list to come.
    pub answer: Duration,
    /// How long nothing may come from a watch: bookmarks come about once a minute.
    pub silence: Duration,
    /// How long the API server is asked to keep a watch open; up to half as long again, by chance.
    pub watch: Duration,
    /// How often readers see what changed, at most.
    pub publish: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(30),
            answer: Duration::from_secs(20),
            silence: Duration::from_secs(150),
            watch: Duration::from_secs(300),
            publish: Duration::from_millis(20),
        }
    }
}

/// Waits that double, with jitter: the agents of a cluster lose their API server at the same time.
#[derive(Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    failures: u32,
    random: Random,
}

/// splitmix64: jitter needs spread, not secrecy.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Backoff {
    pub(crate) fn new(pace: Pace, random: Random) -> Self {
        Self {
            pace,
            failures: 0,
            random,
        }
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How often it failed since it last worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait after one more failure: between a half and the whole of the time due.
    pub(crate) fn next(&mut self) -> Duration {
        let due = self.pace.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let due = due.min(self.pace.most);
        due / 2 + self.random.up_to(due / 2)
    }
}

impl Random {
    /// Different streams of one seed do not repeat each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        random.next();
        random
    }

    /// A stream of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// A duration from zero up to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let fraction = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        most.mul_f64(fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_spread() {
        let pace = Pace::default();
        let mut backoff = Backoff::new(pace, Random::new(7, 1));
        for n in 0..40 {
            let due = pace.first.saturating_mul(1 << n.min(16)).min(pace.most);
            let wait = backoff.next();
            assert!(due / 2 <= wait && wait <= due, "{n}: {wait:?} of {due:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= pace.first);
    }
}
