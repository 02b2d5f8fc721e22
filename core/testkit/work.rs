//! A processor that is a closure of a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tapetum_model::{Batch, Signal};
use tapetum_pipeline::{Bound, Build, Component, Flush, Gives, Now, Output, Processor};

use crate::registry::Registry;

/// The component.
pub static WORK: Component = Component {
    name: "work",
    summary: "Does what a test's closure does.",
    takes: &[Signal::Connections, Signal::Points],
    gives: Gives::Same,
    options: &[],
    metrics: &[],
    example: "",
    check: |_| Vec::new(),
    bound: |_| Bound {
        user_bytes: 1024,
        kernel_bytes: 0,
    },
    build: Build::Processor(|settings, _| {
        let script = SCRIPTS.find(settings)?;
        script.built.fetch_add(1, Ordering::Relaxed);
        let act = {
            let mut make = script.make.lock().unwrap_or_else(PoisonError::into_inner);
            (*make)()
        };
        Ok(Box::new(Closure {
            act,
            every: script.every,
        }))
    }),
};

static SCRIPTS: Registry<Script> = Registry::new();

/// What a processor is asked.
pub enum Event {
    /// To process a batch.
    Batch(Batch, Now),
    /// To flush.
    Flush(Flush, Now),
}

/// A test's hand on a processor.
pub struct Work {
    pub(crate) number: i64,
    script: Arc<Script>,
}

type Act = Box<dyn FnMut(Event, &mut Output) + Send>;

struct Script {
    make: Mutex<Box<dyn FnMut() -> Act + Send>>,
    every: Option<Duration>,
    built: AtomicU64,
}

struct Closure {
    act: Act,
    every: Option<Duration>,
}

impl Work {
    /// A processor that does what `act` does. All its instances share the closure.
    #[must_use]
    pub fn new(act: impl FnMut(Event, &mut Output) + Send + 'static) -> Self {
        Self::every(None, act)
    }

    /// The same, flushed by the timer.
    #[must_use]
    pub fn every(
        every: Option<Duration>,
        act: impl FnMut(Event, &mut Output) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Mutex::new(act));
        Self::each(every, move || {
            let shared = Arc::clone(&shared);
            move |event, out: &mut Output| {
                let mut act = shared.lock().unwrap_or_else(PoisonError::into_inner);
                (*act)(event, out);
            }
        })
    }

    /// A processor each instance of which does what a closure of its own does.
    #[must_use]
    pub fn each<Act>(
        every: Option<Duration>,
        mut make: impl FnMut() -> Act + Send + 'static,
    ) -> Self
    where
        Act: FnMut(Event, &mut Output) + Send + 'static,
    {
        let script = Arc::new(Script {
            make: Mutex::new(Box::new(move || Box::new(make()))),
            every,
            built: AtomicU64::new(0),
        });
        Self {
            number: SCRIPTS.enter(&script),
            script,
        }
    }

    /// A processor that passes everything on.
    #[must_use]
    pub fn pass() -> Self {
        Self::new(|event, out| {
            if let Event::Batch(batch, _) = event {
                out.send(batch);
            }
        })
    }

    /// How often it was made: once a pipeline, and again after each failure.
    #[must_use]
    pub fn built(&self) -> u64 {
        self.script.built.load(Ordering::Relaxed)
    }
}

impl Processor for Closure {
    fn process(&mut self, batch: Batch, now: Now, out: &mut Output) {
        (self.act)(Event::Batch(batch, now), out);
    }

    fn flush(&mut self, why: Flush, now: Now, out: &mut Output) {
        (self.act)(Event::Flush(why, now), out);
    }

    fn flush_every(&self) -> Option<Duration> {
        self.every
    }
}
