//! The whole program, with a file that ships and a load from real senders, while things go wrong: each time what was
//! acknowledged arrives, what did not was refused, the books balance, and memory stays within its budget.
//!
//! Times are those of a gate; `TAPETUM_FAULTS_SECONDS` makes outages as long as one wants.

mod agent;
mod disk;
mod load;
mod outage;
mod sink;

#[path = "../otlp/sender.rs"]
mod sender;

use std::time::Duration;

/// No test waits longer for what must happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long an outage lasts.
fn outage() -> Duration {
    let seconds = std::env::var("TAPETUM_FAULTS_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Waits until something is there.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE + outage(), seen).await;
    seen.unwrap_or_else(|_| panic!("{what}: not in time"))
}
