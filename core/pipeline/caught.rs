//! Turns a component's panic into a value: a component that fails costs itself, not the engine.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// What a component said when it panicked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

/// Runs `work`. What it was changing may be half changed afterwards: the caller throws it away.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(said)
}

/// Polls `work` to its end or its panic.
pub(crate) async fn caught_while<F: Future>(work: F) -> Result<F::Output, Panicked> {
    let mut work = pin!(work);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(panic) => Poll::Ready(Err(said(panic))),
        }
    })
    .await
}

fn said(panic: Box<dyn Any + Send>) -> Panicked {
    let text = match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic
            .downcast::<&'static str>()
            .map_or_else(|_| "no message".to_owned(), |text| (*text).to_owned()),
    };
    Panicked(text)
}
