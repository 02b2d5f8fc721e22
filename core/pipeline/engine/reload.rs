//! A reload: another graph takes the place of the one that runs, or nothing changes and it is said why.

use std::sync::Arc;

use tapetum_model::{Attr, Metric};
use tracing::{info, warn};

use super::build::{self, Plan, Planned, PlannedPipeline};
use super::parts::Parts;
use super::running::Running;
use super::{Lent, Options, StartError, budget, listen, service_info};
use crate::{GraphSpec, PipelineSpec};

/// What a reload did, by the names of components (a processor's with its pipeline).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Nothing of them differs: they went on.
    pub kept: Vec<String>,
    /// They are made of something else now, or are new.
    pub made: Vec<String>,
    /// They are gone.
    pub gone: Vec<String>,
    /// Only how they are joined differs, or `[service]`.
    pub joined: bool,
}

impl Reloaded {
    /// Whether it changed anything.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.joined || !self.made.is_empty() || !self.gone.is_empty()
    }

    fn of(plan: &Plan, parts: &Parts) -> Self {
        let mut done = Self::default();
        for exporter in &plan.exporters {
            done.note(exporter, None);
        }
        for planned in &plan.pipelines {
            let PlannedPipeline { spec, chain, .. } = planned;
            chain.iter().for_each(|one| done.note(one, Some(spec)));
        }
        for receiver in &plan.receivers {
            done.note(receiver, None);
        }
        let stages = parts.pipelines.iter().flat_map(|part| {
            let named = |id: &String| format!("{id} of {}", part.spec.name);
            part.stages
                .iter()
                .map(move |stage| named(&stage.instance.id))
        });
        let exporters = parts.exporters.iter().map(|part| &part.instance.id);
        let receivers = parts.receivers.iter().map(|part| &part.instance.id);
        let before = exporters.chain(receivers).cloned().chain(stages);
        let is_there = |id: &String| done.kept.contains(id) || done.made.contains(id);
        done.gone = before.filter(|id| !is_there(id)).collect();
        let specs = parts.pipelines.iter().map(|part| &part.spec);
        let next = plan.pipelines.iter().map(|planned| &planned.spec);
        done.joined = !specs.eq(next);
        done
    }

    fn note<T>(&mut self, planned: &Planned<T>, pipeline: Option<&PipelineSpec>) {
        let id = &planned.instance().id;
        let name = match pipeline {
            Some(spec) => format!("{id} of {}", spec.name),
            None => id.clone(),
        };
        match planned {
            Planned::Kept(_) => self.kept.push(name),
            Planned::Made(..) => self.made.push(name),
        }
    }
}

impl Running {
    /// Brings the graph to what `spec` says. What does not differ goes on with its queue, connections and
    /// state; the rest is made first and exchanged then. Of `options` only who the agent is counts, and
    /// how its page is written: clock, seed and paths stay.
    ///
    /// Takes as long as what has to end needs, at most some seconds and `service.drain`.
    ///
    /// # Errors
    /// As [`super::Engine::start`]; nothing has changed then, and readiness' text, a metric and the log say
    /// why.
    pub async fn reload(
        &mut self,
        spec: GraphSpec,
        options: Options,
    ) -> Result<Reloaded, StartError> {
        match self.exchange(spec, options).await {
            Ok(done) => {
                let outcome = if done.is_change() {
                    "changed"
                } else {
                    "unchanged"
                };
                self.reloads(outcome, 0);
                self.state.file.note(None);
                info!(kept = ?done.kept, made = ?done.made, gone = ?done.gone, "the file was read again: {outcome}");
                Ok(done)
            }
            Err(why) => {
                self.refuse(&why.to_string());
                Err(why)
            }
        }
    }

    /// Says that the file is not taken: what runs is what it said before.
    pub fn refuse(&self, why: &str) {
        self.reloads("failed", 1);
        warn!("the file was read again and is not taken, the pipelines go on as they were: {why}");
        let line = why.lines().collect::<Vec<_>>().join("; ");
        let note = format!("not taken, the pipelines go on as they were: {line}");
        self.state.file.note(Some(note));
    }

    /// Counts from the start on what a reload can become.
    pub(super) fn reloads_are_counted(&self) {
        for outcome in ["changed", "unchanged", "failed"] {
            let telemetry = &self.state.telemetry;
            let _ = telemetry.counter(Metric::Reloads, &[(Attr::Reason, outcome)]);
        }
        self.state.telemetry.gauge(Metric::ReloadFailed, &[]).set(0);
    }

    fn reloads(&self, outcome: &str, failed: i64) {
        let telemetry = &self.state.telemetry;
        telemetry
            .counter(Metric::Reloads, &[(Attr::Reason, outcome)])
            .add(1);
        telemetry.gauge(Metric::ReloadFailed, &[]).set(failed);
    }

    async fn exchange(
        &mut self,
        spec: GraphSpec,
        options: Options,
    ) -> Result<Reloaded, StartError> {
        let problems = spec.problems();
        if !problems.is_empty() {
            return Err(StartError::Graph(problems));
        }
        if spec.service.data_dir != self.service.data_dir {
            return Err(StartError::Fixed {
                key: "service.data_dir",
            });
        }
        let service = spec.service.clone();
        let lent = self.lent_next(&spec, options);
        budget(&spec)?;
        let admin = match service.admin == self.service.admin {
            true => None,
            false => Some(listen(&service.admin).await?),
        };
        let plan = build::plan(spec, &lent, &self.parts)?;
        let mut done = Reloaded::of(&plan, &self.parts);
        done.joined |= service != self.service;
        lent.memory.set_limit(service.memory_bytes);
        self.lent = lent;
        self.service = service;
        self.apply(plan).await;
        if let Some(listener) = admin {
            self.serve_admin(listener);
        }
        self.shown();
        Ok(done)
    }

    fn lent_next(&self, spec: &GraphSpec, options: Options) -> Lent {
        let options = Options {
            node: options.node,
            host: options.host,
            instance: options.instance,
            render: options.render,
            tap_line: options.tap_line,
            ..self.lent.options.clone()
        };
        let service = service_info(spec, &options);
        let anew = service != *self.lent.service;
        Lent {
            service: match anew {
                true => Arc::new(service),
                false => Arc::clone(&self.lent.service),
            },
            telemetry: self.lent.telemetry.clone(),
            listeners: self.lent.listeners.clone(),
            memory: self.lent.memory.clone(),
            options,
            anew,
        }
    }

    /// Shows what runs now, and forgets what is long gone.
    pub(super) fn shown(&self) {
        let parts = &self.parts;
        self.state
            .show(parts.watched(), parts.edges(), &self.lent.options);
        let exporters = parts.exporters.iter().map(|part| &*part.instance.id);
        let receivers = parts.receivers.iter().map(|part| &*part.instance.id);
        let stages = parts.pipelines.iter().flat_map(|part| &part.stages);
        let stages = stages.map(|stage| &*stage.instance.id);
        let pipelines = parts.pipelines.iter().map(|part| &*part.spec.name);
        let ids: Vec<&str> = exporters
            .chain(receivers)
            .chain(stages)
            .chain(pipelines)
            .collect();
        self.state.ledger.tidy(&ids);
    }
}
