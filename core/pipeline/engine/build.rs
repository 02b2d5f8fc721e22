//! Makes what a graph needs beside what runs already; none of it runs yet.
//!
//! A component is kept if nothing of what it was made of differs: its table, its queue and retry, and
//! what the engine lends to all. A start is the case that nothing is there to be kept.

use std::sync::Arc;

use super::parts::Parts;
use super::ward::Maker;
use super::{Lent, StartError};
use crate::component::{Exporter, Processor, Receiver};
use crate::{BuildError, Context, Gate, GraphSpec, Health, Instance, Kind, PipelineSpec};

/// A component of the next graph.
pub(super) enum Planned<T> {
    /// It runs, and goes on.
    Kept(Arc<Instance>),
    /// It was made, and does not run yet.
    Made(Maker, T),
}

/// The processors of one pipeline.
pub(super) type Chained = Vec<Planned<Box<dyn Processor>>>;

/// A pipeline of the next graph.
pub(super) struct PlannedPipeline {
    pub(super) spec: PipelineSpec,
    pub(super) chain: Chained,
    pub(super) gate: Gate,
}

/// The next graph.
pub(super) struct Plan {
    pub(super) exporters: Vec<Planned<Exporter>>,
    pub(super) pipelines: Vec<PlannedPipeline>,
    pub(super) receivers: Vec<Planned<Box<dyn Receiver>>>,
}

impl<T> Planned<T> {
    pub(super) fn instance(&self) -> &Arc<Instance> {
        match self {
            Self::Kept(instance) => instance,
            Self::Made(maker, _) => &maker.instance,
        }
    }
}

/// Exporters first: a receiver is not made for a backend that cannot be.
pub(super) fn plan(spec: GraphSpec, lent: &Lent, parts: &Parts) -> Result<Plan, StartError> {
    let mut exporters = Vec::new();
    for instance in spec.exporters.into_iter().map(Arc::new) {
        let runs = parts.exporters.iter().map(|part| &part.instance);
        exporters.push(lent.planned(Kind::Exporter, runs, &instance, None, Maker::exporter)?);
    }
    let processors: Vec<_> = spec.processors.into_iter().map(Arc::new).collect();
    let mut pipelines = Vec::new();
    for pipeline in spec.pipelines {
        let before = parts
            .pipelines
            .iter()
            .find(|part| part.spec.name == pipeline.name);
        let gate = before.map_or_else(Gate::default, |part| part.gate.clone());
        let mut chain = Vec::new();
        let named_here = |id: &String| processors.iter().find(|known| known.id == *id);
        for instance in pipeline.processors.iter().filter_map(named_here) {
            let runs = before.into_iter().flat_map(|part| &part.stages);
            let runs = runs.map(|stage| &stage.instance);
            let within = Some((pipeline.name.as_str(), &gate));
            chain.push(lent.planned(Kind::Processor, runs, instance, within, Maker::processor)?);
        }
        pipelines.push(PlannedPipeline {
            spec: pipeline,
            chain,
            gate,
        });
    }
    let mut receivers = Vec::new();
    for instance in spec.receivers.into_iter().map(Arc::new) {
        let runs = parts.receivers.iter().map(|part| &part.instance);
        receivers.push(lent.planned(Kind::Receiver, runs, &instance, None, Maker::receiver)?);
    }
    Ok(Plan {
        exporters,
        pipelines,
        receivers,
    })
}

impl Lent {
    fn planned<'a, T>(
        &self,
        kind: Kind,
        mut running: impl Iterator<Item = &'a Arc<Instance>>,
        wanted: &Arc<Instance>,
        pipeline: Option<(&str, &Gate)>,
        make: impl FnOnce(&Maker) -> Result<T, BuildError>,
    ) -> Result<Planned<T>, StartError> {
        if !self.anew
            && let Some(kept) = running.find(|running| is_same(running, wanted))
        {
            return Ok(Planned::Kept(Arc::clone(kept)));
        }
        let maker = self.maker(wanted, pipeline);
        match make(&maker) {
            Ok(made) => Ok(Planned::Made(maker, made)),
            Err(why) => Err(StartError::Build {
                kind,
                id: wanted.id.clone(),
                why,
            }),
        }
    }

    fn maker(&self, instance: &Arc<Instance>, pipeline: Option<(&str, &Gate)>) -> Maker {
        let telemetry = self.telemetry.of(&instance.id);
        Maker {
            instance: Arc::clone(instance),
            context: Context {
                instance: instance.id.as_str().into(),
                service: Arc::clone(&self.service),
                clock: Arc::clone(&self.options.clock),
                telemetry: match pipeline {
                    Some((pipeline, _)) => telemetry.within(pipeline),
                    None => telemetry,
                },
                health: Health::default(),
                listeners: self.listeners.clone(),
                memory: self.memory.clone(),
                gate: pipeline.map(|(_, gate)| gate.clone()).unwrap_or_default(),
            },
        }
    }
}

fn is_same(one: &Instance, other: &Instance) -> bool {
    one.id == other.id
        && std::ptr::eq(one.component, other.component)
        && one.settings.table() == other.settings.table()
        && one.queue == other.queue
        && one.retry == other.retry
}
