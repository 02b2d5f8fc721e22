//! An exponential histogram as OpenTelemetry defines it, bounded in buckets.

/// How many buckets a histogram may span before it halves its resolution.
const BUCKETS_MAX: usize = 160;

/// The finest resolution: 2^20 buckets a power of two is the limit of the data model.
const SCALE_MAX: i32 = 8;

/// A distribution of values that are not negative (negative ones are taken as zero).
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialHistogram {
    /// Resolution: bucket `i` holds `(base^i, base^(i+1)]` with `base = 2^(2^-scale)`.
    pub scale: i32,
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least value; meaningless if `count` is zero.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values are zero.
    pub zero_count: u64,
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts, from `offset` on.
    pub buckets: Vec<u64>,
}

impl Default for ExponentialHistogram {
    fn default() -> Self {
        Self {
            scale: SCALE_MAX,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: 0.0,
            zero_count: 0,
            offset: 0,
            buckets: Vec::new(),
        }
    }
}

impl ExponentialHistogram {
    /// Adds one value; what is not finite is ignored.
    pub fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let value = value.max(0.0);
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value < f64::MIN_POSITIVE {
            self.zero_count += 1;
            return;
        }
        let mut index = index_of(value, self.scale);
        while !self.reaches(index) {
            self.halve();
            index = index_of(value, self.scale);
        }
        self.widen_to(index);
        self.buckets[(index - self.offset) as usize] += 1;
    }

    /// Adds every value of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zero_count += other.zero_count;
        let mut other = other.clone();
        while self.scale > other.scale {
            self.halve();
        }
        while other.scale > self.scale {
            other.halve();
        }
        if other.buckets.is_empty() {
            return;
        }
        loop {
            let last = other.offset + other.buckets.len() as i32 - 1;
            if self.spans(other.offset, last) {
                break;
            }
            self.halve();
            other.halve();
        }
        self.widen_to(other.offset);
        self.widen_to(other.offset + other.buckets.len() as i32 - 1);
        for (at, count) in other.buckets.iter().enumerate() {
            self.buckets[(other.offset - self.offset) as usize + at] += count;
        }
    }

    /// Halves the resolution; counts stay exact.
    pub fn halve(&mut self) {
        self.scale -= 1;
        let Some(last) = self.buckets.len().checked_sub(1) else {
            return;
        };
        let first = self.offset >> 1;
        let mut merged = vec![0; (((self.offset + last as i32) >> 1) - first + 1) as usize];
        for (at, count) in self.buckets.iter().enumerate() {
            merged[(((self.offset + at as i32) >> 1) - first) as usize] += count;
        }
        self.offset = first;
        self.buckets = merged;
    }

    fn reaches(&self, index: i32) -> bool {
        self.spans(index, index)
    }

    fn spans(&self, first: i32, last: i32) -> bool {
        let (mut low, mut high) = (first, last);
        if !self.buckets.is_empty() {
            low = low.min(self.offset);
            high = high.max(self.offset + self.buckets.len() as i32 - 1);
        }
        ((high - low) as usize) < BUCKETS_MAX
    }

    fn widen_to(&mut self, index: i32) {
        if self.buckets.is_empty() {
            self.offset = index;
            self.buckets.push(0);
        } else if index < self.offset {
            let missing = (self.offset - index) as usize;
            self.buckets.splice(0..0, std::iter::repeat_n(0, missing));
            self.offset = index;
        } else if index >= self.offset + self.buckets.len() as i32 {
            self.buckets.resize((index - self.offset) as usize + 1, 0);
        }
    }
}

/// The bucket of a positive value: exact at powers of two, where upper bounds are inclusive.
fn index_of(value: f64, scale: i32) -> i32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let power_of_two = bits & ((1 << 52) - 1) == 0;
    if scale <= 0 {
        return (if power_of_two { exponent - 1 } else { exponent }) >> -scale;
    }
    if power_of_two {
        return (exponent << scale) - 1;
    }
    let fraction = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52)).log2();
    let within = (fraction * f64::from(1u32 << scale)).ceil() as i32 - 1;
    (exponent << scale) + within.clamp(0, (1 << scale) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_upper_bound() {
        for scale in [-2, 0, 3, 8] {
            for exponent in [-10, -1, 0, 1, 7] {
                let bound = 2f64.powi(exponent);
                let below = index_of(bound, scale);
                let above = index_of(bound * 1.000_001, scale);
                assert_eq!(
                    above,
                    below + i32::from(scale >= 0 || (exponent & 3) == 0),
                    "{scale} {exponent}"
                );
            }
        }
    }

    #[test]
    fn counts_survive_any_range() {
        let mut histogram = ExponentialHistogram::default();
        let mut value = 1e-9;
        let mut values = 0;
        while value < 1e9 {
            histogram.record(value);
            value *= 1.37;
            values += 1;
        }
        histogram.record(0.0);
        histogram.record(f64::NAN);
        assert_eq!(histogram.count, values + 1);
        assert_eq!(
            histogram.buckets.iter().sum::<u64>() + histogram.zero_count,
            values + 1
        );
        assert!(histogram.buckets.len() <= BUCKETS_MAX);
    }

    #[test]
    fn merging_is_recording_both() {
        let (mut both, mut left, mut right) = Default::default();
        let record = |into: &mut ExponentialHistogram, value| into.record(value);
        for n in 1..400u32 {
            let value = f64::from(n * n) * 1e-5;
            record(&mut both, value);
            record(if n % 3 == 0 { &mut left } else { &mut right }, value);
        }
        left.merge(&right);
        assert_eq!(
            (left.count, left.scale, left.offset),
            (both.count, both.scale, both.offset)
        );
        assert_eq!(left.buckets, both.buckets);
    }
}
