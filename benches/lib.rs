//! What the benches share: an allocator that counts, a clock that takes the least of many runs, the cost of
//! the kernel's own statistics, and one way to print a figure beside its target.

mod counting;
mod empty;
mod figure;

use std::time::{Duration, Instant};

pub use counting::Counting;
pub use empty::Empty;
pub use figure::{Figure, median};

/// Runs `work` `runs` times and returns what the quickest and the middle one took. The machine is
/// shared: the quickest run is what the code costs, the others also what the neighbours do.
pub fn timed<T>(runs: usize, mut work: impl FnMut() -> T) -> (Duration, Duration) {
    let mut taken: Vec<Duration> = (0..runs.max(1))
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(work());
            begun.elapsed()
        })
        .collect();
    taken.sort_unstable();
    (taken[0], taken[taken.len() / 2])
}

/// Prints one figure, its unit, and whether it is within its target.
pub fn figure(what: &str, value: f64, unit: &str, most: f64) {
    let _ = Figure::at_most(what, value, unit, most, "");
}

/// Prints a figure that has no target.
pub fn note(what: &str, value: f64, unit: &str) {
    println!("     {what:<46} {value:>9.3} {unit}");
}
