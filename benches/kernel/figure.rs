//! One measured number beside its target.

/// Printed as soon as it is known.
pub(crate) struct Figure {
    value: f64,
    most: f64,
}

impl Figure {
    /// Prints a number that should be at most `most`.
    pub(crate) fn at_most(name: &str, value: f64, unit: &str, most: f64, how: &str) -> Figure {
        let mark = if value <= most { "ok  " } else { "MISS" };
        println!("{mark} {name:<44} {value:>9.2} {unit:<5} target <= {most} {unit}  ({how})");
        Figure { value, most }
    }

    /// Whether the target is met.
    pub(crate) fn met(&self) -> bool {
        self.value <= self.most
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
