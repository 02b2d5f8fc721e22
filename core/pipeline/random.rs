//! Randomness for jitter, seeded from outside so that a test sees the same waits at every run.

use std::time::Duration;

/// splitmix64: jitter needs spread, not secrecy.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Different streams of one seed do not repeat each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
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
