//! Supervision: makes components, and makes those anew that failed, later each time.

use std::sync::Arc;
use std::time::Duration;

use tapetum_model::Metric;
use tokio::time::Instant;
use tracing::{error, info};

use crate::caught::{Panicked, caught, caught_while};
use crate::component::{Build, BuildError, Builder, Exporter, Processor, Receiver, RunError};
use crate::retry::Restart;
use crate::{Context, Counter, Health, Instance, Kind, Stop};

/// Makes the instances of one place in the graph.
pub(super) struct Maker {
    pub(super) instance: Arc<Instance>,
    pub(super) context: Context,
}

/// Watches over one component.
pub(super) struct Ward {
    who: String,
    /// What the component says of itself.
    health: Health,
    /// What the engine says of it.
    standing: Health,
    restarts: Counter,
    restart: Restart,
    since: Instant,
}

/// How a component that runs by itself ended.
enum End {
    Returned,
    Failed(String),
}

impl Maker {
    pub(super) fn receiver(&self) -> Result<Box<dyn Receiver>, BuildError> {
        match self.instance.component.build {
            Build::Receiver(build) => self.make(build),
            _ => Err(self.misplaced(Kind::Receiver)),
        }
    }

    pub(super) fn processor(&self) -> Result<Box<dyn Processor>, BuildError> {
        match self.instance.component.build {
            Build::Processor(build) => self.make(build),
            _ => Err(self.misplaced(Kind::Processor)),
        }
    }

    pub(super) fn exporter(&self) -> Result<Exporter, BuildError> {
        match self.instance.component.build {
            Build::Exporter(build) | Build::Asked(build) => self.make(build),
            _ => Err(self.misplaced(Kind::Exporter)),
        }
    }

    pub(super) fn ward(&self, kind: Kind, pipeline: Option<&str>) -> Ward {
        let id = &self.instance.id;
        let who = match pipeline {
            Some(pipeline) => format!("{} `{id}` of pipeline `{pipeline}`", kind.name()),
            None => format!("{} `{id}`", kind.name()),
        };
        Ward {
            who,
            health: self.context.health.clone(),
            standing: Health::default(),
            restarts: self
                .context
                .telemetry
                .counter(Metric::ComponentRestarts, &[]),
            restart: Restart::default(),
            since: Instant::now(),
        }
    }

    fn make<T>(&self, build: Builder<T>) -> Result<T, BuildError> {
        caught(|| build(&self.instance.settings, &self.context)).unwrap_or_else(
            |Panicked(message)| Err(BuildError::new(format!("it panicked: {message}"))),
        )
    }

    fn misplaced(&self, kind: Kind) -> BuildError {
        let name = self.instance.component.name;
        BuildError::new(format!("`{name}` is no {}", kind.name()))
    }
}

impl Ward {
    pub(super) fn who(&self) -> &str {
        &self.who
    }

    pub(super) fn standing(&self) -> &Health {
        &self.standing
    }

    /// What `/readyz` reads of it.
    pub(super) fn healths(&self) -> [Health; 2] {
        [self.standing.clone(), self.health.clone()]
    }

    /// It failed: how long until it may be made anew.
    pub(super) fn fell(&mut self, why: &str) -> Duration {
        let wait = self.restart.wait(self.since.elapsed());
        error!(component = %self.who, ?wait, "failed and is made anew: {why}");
        self.restarts.add(1);
        self.health.reset();
        self.standing
            .waits_for(format!("failed and is made anew after {wait:?}: {why}"));
        self.since = Instant::now();
        wait
    }

    /// It was made anew.
    pub(super) fn rose(&mut self) {
        info!(component = %self.who, "runs again");
        self.standing.ready();
        self.since = Instant::now();
    }

    /// Runs a component that runs by itself, until it is asked to stop, and makes it anew as often as
    /// it fails. `ends`: that it returns by itself is no failure but the end of its stream.
    pub(super) async fn attend<T, Run, Made>(
        &mut self,
        first: T,
        mut run: impl FnMut(T) -> Run,
        mut make: Made,
        mut stop: Stop,
        ends: bool,
    ) where
        Run: Future<Output = Result<(), RunError>>,
        Made: FnMut() -> Result<T, BuildError>,
    {
        let mut component = Some(first);
        let mut why = String::new();
        loop {
            if let Some(component) = component.take() {
                match End::of(caught_while(run(component)).await) {
                    End::Returned if ends || stop.requested() => return,
                    End::Returned => {
                        "it returned although it was not asked to".clone_into(&mut why)
                    }
                    End::Failed(message) => why = message,
                }
            }
            if stop.requested() {
                error!(component = %self.who, "failed while it stopped: {why}");
                return;
            }
            let wait = self.fell(&why);
            tokio::select! {
                biased;
                () = stop.wait() => return,
                () = tokio::time::sleep(wait) => {}
            }
            match make() {
                Ok(made) => {
                    self.rose();
                    component = Some(made);
                }
                Err(error) => why = error.message,
            }
        }
    }
}

impl End {
    fn of(run: Result<Result<(), RunError>, Panicked>) -> Self {
        match run {
            Ok(Ok(())) => Self::Returned,
            Ok(Err(error)) => Self::Failed(error.message),
            Err(Panicked(message)) => Self::Failed(format!("it panicked: {message}")),
        }
    }
}
