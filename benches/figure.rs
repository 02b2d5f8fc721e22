//! One measured number beside its target.

/// Printed as soon as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    value: f64,
    most: f64,
}

impl Figure {
    /// Prints a number that should be at most `most`.
    pub fn at_most(name: &str, value: f64, unit: &str, most: f64, how: &str) -> Figure {
        let mark = if value <= most { "ok  " } else { "MISS" };
        let how = if how.is_empty() {
            String::new()
        } else {
            format!("  ({how})")
        };
        println!("{mark} {name:<46} {value:>9.3} {unit:<8} target <= {most} {unit}{how}");
        Figure { value, most }
    }

    /// Whether the target is met.
    #[must_use]
    pub fn met(&self) -> bool {
        self.value <= self.most
    }
}

/// The middle one.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
