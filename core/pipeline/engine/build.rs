//! Makes every component of a graph; none of them runs yet.

use std::sync::Arc;

use super::ward::Maker;
use super::{Lent, StartError};
use crate::component::{Exporter, Processor, Receiver};
use crate::{BuildError, Context, GraphSpec, Health, Instance, Kind, PipelineSpec};

/// The processors of one pipeline.
pub(super) type Made = Vec<(Maker, Box<dyn Processor>)>;

/// A graph of components that do not run.
pub(super) struct Built {
    pub(super) exporters: Vec<(Maker, Exporter)>,
    pub(super) pipelines: Vec<(PipelineSpec, Made)>,
    pub(super) receivers: Vec<(Maker, Box<dyn Receiver>)>,
}

/// Exporters first: a receiver is not made for a backend that cannot be.
pub(super) fn build(spec: GraphSpec, lent: &Lent) -> Result<Built, StartError> {
    let shared = |instances: Vec<Instance>| instances.into_iter().map(Arc::new);
    let mut exporters = Vec::new();
    for instance in shared(spec.exporters) {
        let maker = lent.maker(&instance, None);
        let exporter = named(Kind::Exporter, &instance, maker.exporter())?;
        exporters.push((maker, exporter));
    }
    let processors: Vec<Arc<Instance>> = shared(spec.processors).collect();
    let mut pipelines = Vec::new();
    for pipeline in spec.pipelines {
        let mut chain = Vec::new();
        let named_here = |id: &String| processors.iter().find(|known| known.id == *id);
        for instance in pipeline.processors.iter().filter_map(named_here) {
            let maker = lent.maker(instance, Some(&pipeline.name));
            let processor = named(Kind::Processor, instance, maker.processor())?;
            chain.push((maker, processor));
        }
        pipelines.push((pipeline, chain));
    }
    let mut receivers = Vec::new();
    for instance in shared(spec.receivers) {
        let maker = lent.maker(&instance, None);
        let receiver = named(Kind::Receiver, &instance, maker.receiver())?;
        receivers.push((maker, receiver));
    }
    Ok(Built {
        exporters,
        pipelines,
        receivers,
    })
}

impl Lent {
    fn maker(&self, instance: &Arc<Instance>, pipeline: Option<&str>) -> Maker {
        let telemetry = self.telemetry.of(&instance.id);
        Maker {
            instance: Arc::clone(instance),
            context: Context {
                instance: instance.id.as_str().into(),
                service: Arc::clone(&self.service),
                clock: Arc::clone(&self.options.clock),
                telemetry: match pipeline {
                    Some(pipeline) => telemetry.within(pipeline),
                    None => telemetry,
                },
                health: Health::default(),
                listeners: self.listeners.clone(),
            },
        }
    }
}

fn named<T>(kind: Kind, instance: &Instance, made: Result<T, BuildError>) -> Result<T, StartError> {
    made.map_err(|why| StartError::Build {
        kind,
        id: instance.id.clone(),
        why,
    })
}
