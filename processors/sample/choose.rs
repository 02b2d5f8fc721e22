//! Which traces are kept: a threshold that trace ids are compared with, and how it follows the load.
//!
//! The 56 random bits of a trace id are compared with a threshold, as OpenTelemetry's consistent
//! probability sampling does. Whoever has the lower threshold keeps all that another keeps: two nodes
//! under different load agree on every trace that the more loaded one keeps.

use std::time::Duration;

use tapetum_model::TraceId;

/// Below this the threshold has too few bits left to tell traces apart.
const PROBABILITY_MIN: f64 = 1.0 / (1u64 << 40) as f64;

/// One more than the greatest randomness.
const RANDOMNESS_END: u64 = 1 << 56;

/// A threshold that keeps about so many traces a second.
pub(super) struct Pace {
    /// How many a second; `None`: no limit.
    target: Option<u32>,
    /// Never more than this share.
    probability_max: f64,
    probability: f64,
    second: u64,
    arrived: u64,
    kept: u64,
    /// Kept beyond this in one second, the probability is halved at once.
    allowance: u64,
}

impl Pace {
    pub(super) fn new(per_second: u32, probability_max: f64) -> Self {
        Self {
            target: (per_second > 0).then_some(per_second),
            probability_max,
            probability: probability_max,
            second: 0,
            arrived: 0,
            kept: 0,
            allowance: u64::from(per_second),
        }
    }

    /// Time has passed: in a new second the probability follows what arrived in the last one, up at
    /// most by doubling, so that a short pause does not open the gate for what comes after it.
    pub(super) fn advance(&mut self, now: Duration) {
        let Some(target) = self.target else { return };
        let passed = now.as_secs().saturating_sub(self.second);
        if passed == 0 {
            return;
        }
        let rate = self.arrived as f64 / passed as f64;
        let right = f64::from(target) / rate.max(f64::from(target));
        let doublings = i32::try_from(passed.min(64)).unwrap_or(64);
        self.probability = (self.probability * 2f64.powi(doublings))
            .min(right)
            .min(self.probability_max);
        self.second = now.as_secs();
        self.arrived = 0;
        self.kept = 0;
        self.allowance = u64::from(target);
    }

    /// Whether a trace is kept.
    pub(super) fn keeps(&mut self, trace: TraceId) -> bool {
        self.arrived += 1;
        let keep = randomness(trace) >= threshold(self.probability);
        self.kept += u64::from(keep);
        if let Some(target) = self.target
            && self.kept > self.allowance
        {
            self.probability = (self.probability / 2.0).max(PROBABILITY_MIN);
            self.allowance += u64::from(target / 2).max(1);
        }
        keep
    }
}

/// The random bits of a trace id: its last 56.
fn randomness(trace: TraceId) -> u64 {
    (u128::from_be_bytes(trace.0) as u64) & (RANDOMNESS_END - 1)
}

/// Below it a trace is dropped.
fn threshold(probability: f64) -> u64 {
    ((1.0 - probability.clamp(PROBABILITY_MIN, 1.0)) * RANDOMNESS_END as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces(from: u64) -> impl Iterator<Item = TraceId> {
        (from..).map(|n| {
            let mixed = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            TraceId((mixed ^ (mixed >> 64)).to_be_bytes())
        })
    }

    #[test]
    fn a_threshold_keeps_its_share() {
        for share in [1.0, 0.5, 0.05] {
            let mut pace = Pace::new(0, share);
            let kept = traces(0)
                .take(20_000)
                .filter(|trace| pace.keeps(*trace))
                .count();
            let expected = 20_000.0 * share;
            assert!((kept as f64 - expected).abs() <= expected * 0.1, "{kept}");
        }
        assert_eq!(threshold(1.0), 0);
        assert!(threshold(0.0) < RANDOMNESS_END);
    }

    #[test]
    fn whoever_keeps_more_keeps_what_the_other_keeps() {
        let (mut few, mut many) = (Pace::new(0, 0.1), Pace::new(0, 0.3));
        let mut kept = 0;
        for trace in traces(7).take(5_000) {
            let by_few = few.keeps(trace);
            assert!(!by_few || many.keeps(trace));
            kept += u32::from(by_few);
        }
        assert!(kept > 100);
    }

    #[test]
    fn a_steady_load_is_held_to_the_rate() {
        let mut pace = Pace::new(50, 1.0);
        let mut ids = traces(0);
        let mut kept = Vec::new();
        for second in 1..=30 {
            pace.advance(Duration::from_secs(second));
            let chosen = ids.by_ref().take(5_000).filter(|id| pace.keeps(*id));
            kept.push(chosen.count());
        }
        let all: usize = kept[1..].iter().sum();
        assert!((25 * 29..=60 * 29).contains(&all), "{kept:?}");
    }

    #[test]
    fn a_burst_out_of_silence_is_held_at_once() {
        let mut pace = Pace::new(50, 1.0);
        pace.advance(Duration::from_secs(9));
        let kept = traces(0)
            .take(1_000_000)
            .filter(|id| pace.keeps(*id))
            .count();
        assert!((50..=50 * 10).contains(&kept), "{kept}");
        // Recovery is by doubling, up to everything.
        pace.advance(Duration::from_secs(10));
        assert!(pace.probability < 0.001);
        pace.advance(Duration::from_secs(60));
        assert!((pace.probability - 1.0).abs() < f64::EPSILON);
    }
}
