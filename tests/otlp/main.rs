//! The whole program between those who send OTLP and one who takes it: what leaves is what came, to the byte, and
//! what real SDKs send is understood.

mod agent;
mod backends;
mod hostile;
mod pass;
mod rotate;
mod sdks;
mod sender;
mod sink;

use std::time::Duration;

/// No test waits longer for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    seen.unwrap_or_else(|_| panic!("{what}: not in time"))
}
