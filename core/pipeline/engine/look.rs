//! Looks how much memory the process has, while a component decides by it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::Options;
use crate::{Memory, Stop};

/// How often is looked: at 200 MB a second some 20 MB come in between.
const EVERY: Duration = Duration::from_millis(100);
/// How often what is free is given back, while it is short.
const RELIEF_EVERY: Duration = Duration::from_secs(1);

/// Looks until the graph is gone.
pub(super) async fn look(memory: Memory, options: Options, mut gone: Stop) {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut relieved = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = gone.wait() => return,
            _ = looks.tick() => {}
        }
        if !memory.was_asked() {
            // Nobody decides by it: now and then is enough to notice when somebody does.
            looks.reset_after(EVERY * 10);
            continue;
        }
        let used = match &options.memory_used {
            Some(used) => used(memory.limit_bytes()),
            None => resident_anonymous(&options.process_status),
        };
        if let Some(bytes) = used {
            memory.set_used(bytes);
        }
        if let (true, Some(relieve)) = (memory.was_short(), &options.relieve)
            && relieved.elapsed() >= RELIEF_EVERY
        {
            relieved = Instant::now();
            let relieve = Arc::clone(relieve);
            // It may take as long as the heap is large.
            let _ = tokio::task::spawn_blocking(move || relieve()).await;
        }
    }
}

/// `RssAnon` of a `/proc/<pid>/status`, in bytes.
pub(super) fn resident_anonymous(status: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_memory_of_the_process() {
        let own = resident_anonymous(Path::new("/proc/self/status")).unwrap();
        assert!(own > 100 * 1024, "{own}");
        assert_eq!(resident_anonymous(Path::new("/proc/version")), None);
        assert_eq!(resident_anonymous(Path::new("/nowhere")), None);
    }
}
