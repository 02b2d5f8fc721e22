//! The graph as it runs, one part a component: what a reload keeps or exchanges, and what a stop ends.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::build::Planned;
use super::export::Exchange;
use super::readiness::Watched;
use super::ward::Ward;
use crate::books::Account;
use crate::outlet::{Asked, Request, Ways};
use crate::queue::{Door, Front};
use crate::{Edge, Gate, Health, Instance, PipelineSpec};

/// All of them.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) exporters: Vec<ExporterPart>,
    pub(super) pipelines: Vec<PipelinePart>,
    pub(super) receivers: Vec<ReceiverPart>,
    /// What no longer belongs to the graph and still has something to do.
    pub(super) leaving: Vec<JoinHandle<Vec<(String, u64)>>>,
}

/// A task, and what it is called in the log.
pub(super) struct Task {
    pub(super) who: String,
    pub(super) handle: JoinHandle<()>,
}

pub(super) struct ExporterPart {
    pub(super) instance: Arc<Instance>,
    pub(super) watched: Watched,
    pub(super) end: End,
}

/// What stands at the end of pipelines.
pub(super) enum End {
    /// It is sent to.
    Sent(Sent),
    /// It asks.
    Asked(Asker),
}

pub(super) struct Sent {
    pub(super) front: Arc<Front>,
    /// Where a changed exporter is given to the task that sends.
    pub(super) exchange: Arc<Exchange>,
    pub(super) drain: watch::Sender<bool>,
    pub(super) cut: watch::Sender<bool>,
    pub(super) task: Task,
}

pub(super) struct Asker {
    pub(super) account: Arc<Account>,
    pub(super) pipelines: Asked,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: Task,
}

pub(super) struct PipelinePart {
    pub(super) spec: PipelineSpec,
    pub(super) stages: Vec<StagePart>,
    /// Keeps the pipeline open while receivers come and go.
    pub(super) place: mpsc::Sender<Request>,
    pub(super) door: Arc<Door>,
    pub(super) gate: Gate,
    pub(super) cut: watch::Sender<bool>,
    pub(super) task: Task,
}

pub(super) struct StagePart {
    pub(super) instance: Arc<Instance>,
    pub(super) watched: Watched,
}

pub(super) struct ReceiverPart {
    pub(super) instance: Arc<Instance>,
    pub(super) watched: Watched,
    pub(super) ways: Ways,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: Task,
}

impl Task {
    pub(super) fn new(who: String, handle: JoinHandle<()>) -> Self {
        Self { who, handle }
    }
}

impl Watched {
    pub(super) fn of(ward: &Ward) -> Self {
        Self {
            who: ward.who().to_owned(),
            healths: ward.healths(),
        }
    }
}

impl Parts {
    /// Everything whose readiness is asked for, in the order of the flow but for its ends.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let exporters = self.exporters.iter().map(|part| &part.watched);
        let disks = self.exporters.iter().filter_map(ExporterPart::disk);
        let stages = self.pipelines.iter().flat_map(|part| &part.stages);
        let receivers = self.receivers.iter().map(|part| &part.watched);
        let stages = stages.map(|stage| &stage.watched);
        let all = exporters.chain(stages).chain(receivers).cloned();
        all.chain(disks).collect()
    }

    /// Every way from one component to the next.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for PipelinePart { spec, .. } in &self.pipelines {
            let mut from: Vec<&String> = spec.receivers.iter().collect();
            let mut join = |from: &[&String], to: &[&String]| {
                let pairs = from
                    .iter()
                    .flat_map(|from| to.iter().map(move |to| (from, to)));
                edges.extend(pairs.map(|(from, to)| Edge {
                    pipeline: spec.name.as_str().into(),
                    from: from.as_str().into(),
                    to: to.as_str().into(),
                }));
            };
            for processor in &spec.processors {
                join(&from, &[processor]);
                from = vec![processor];
            }
            join(&from, &spec.exporters.iter().collect::<Vec<_>>());
        }
        edges
    }

    pub(super) fn exporter(&self, id: &str) -> Option<&ExporterPart> {
        self.exporters.iter().find(|part| part.instance.id == id)
    }

    pub(super) fn pipeline(&self, name: &str) -> Option<&PipelinePart> {
        self.pipelines.iter().find(|part| part.spec.name == name)
    }
}

impl ExporterPart {
    /// What is said of the disk of its queue.
    fn disk(&self) -> Option<Watched> {
        Some(Watched {
            who: format!("queue of exporter `{}`", self.instance.id),
            healths: [self.front()?.disk_health()?, Health::default()],
        })
    }

    pub(super) fn front(&self) -> Option<&Arc<Front>> {
        match &self.end {
            End::Sent(sent) => Some(&sent.front),
            End::Asked(_) => None,
        }
    }
}

/// Takes out the part of the component that is planned, if it runs.
pub(super) fn take<P, T>(
    parts: &mut Vec<P>,
    planned: &Planned<T>,
    instance: impl Fn(&P) -> &Arc<Instance>,
) -> Option<P> {
    let id = &planned.instance().id;
    let at = parts.iter().position(|part| instance(part).id == *id)?;
    Some(parts.remove(at))
}
