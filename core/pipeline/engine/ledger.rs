//! The lines of the books of one process: a component that comes back after a reload goes on in its own
//! line, and what is gone for good is forgotten in time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::books::{Account, Books};
use crate::{Kind, Telemetry};

/// All lines, also of what was in a graph before.
pub(super) struct Ledger {
    telemetry: Telemetry,
    accounts: Mutex<Vec<Arc<Account>>>,
}

/// So many lines of components that are in the graph no more are kept: a file that is written again and
/// again with new names must not grow the process.
const GONE_MAX: usize = 64;

impl Ledger {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            accounts: Mutex::default(),
        }
    }

    /// The line of a component, of a receiver or processor in one pipeline.
    pub(super) fn open(&self, kind: Kind, id: &str, pipeline: Option<&str>) -> Arc<Account> {
        let mut accounts = self.lock();
        if let Some(known) = accounts.iter().find(|one| one.is_of(kind, id, pipeline)) {
            return Arc::clone(known);
        }
        let account = Account::open(&self.telemetry, kind, id, pipeline);
        accounts.push(Arc::clone(&account));
        account
    }

    pub(super) fn books(&self) -> Books {
        Books(self.lock().iter().map(|account| account.book()).collect())
    }

    /// Forgets what is long gone: nothing else holds its line, and it is not among the last. `ids` are the
    /// components and pipelines that there are now.
    pub(super) fn tidy(&self, ids: &[&str]) {
        let mut accounts = self.lock();
        let idle = |one: &Arc<Account>| Arc::strong_count(one) == 1 && one.held() == 0;
        let gone = accounts.iter().filter(|one| idle(one)).count();
        let mut surplus = gone.saturating_sub(GONE_MAX);
        accounts.retain(|one| {
            let forgotten = surplus > 0 && idle(one);
            surplus -= usize::from(forgotten);
            !forgotten
        });
        self.telemetry.retain(|component, pipeline| {
            let booked = accounts.iter().any(|one| one.is_named(component, pipeline));
            let is_now = |id: Option<&str>| id.is_none_or(|id| ids.contains(&id));
            booked || (is_now(component) && is_now(pipeline))
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapetum_model::{Metric, UnixNanos};

    #[test]
    fn who_comes_back_finds_its_line_and_names_without_end_are_forgotten() {
        let telemetry = Telemetry::default();
        let ledger = Ledger::new(telemetry.clone());
        let first = ledger.open(Kind::Exporter, "otlp", None);
        assert!(Arc::ptr_eq(
            &first,
            &ledger.open(Kind::Exporter, "otlp", None)
        ));
        for n in 0..500 {
            let id = format!("otlp/{n}");
            ledger.open(Kind::Exporter, &id, None);
            ledger.tidy(&["otlp"]);
        }
        let books = ledger.books();
        assert_eq!(books.0.len(), GONE_MAX + 1);
        assert!(books.of(Kind::Exporter, "otlp", None).is_some());
        assert!(books.of(Kind::Exporter, "otlp/499", None).is_some());
        let points = telemetry.points(UnixNanos(0), UnixNanos(1));
        let lines = points
            .iter()
            .filter(|point| point.metric == Metric::RecordsOut);
        assert_eq!(lines.count(), GONE_MAX + 1);
    }
}
