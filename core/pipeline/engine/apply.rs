//! From the graph that runs to the next one, in an order in which nothing is lost.
//!
//! Exporters first, so that there is somewhere to go. Then receivers that end or change send what they hold
//! through the pipelines that they know, and those that stay wait for their new ways. Then each pipeline
//! exchanges what differs, between two batches. Then receivers run again. What has left the graph is
//! drained beside it.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use super::build::{Chained, Plan, Planned, PlannedPipeline};
use super::parts::{End, ExporterPart, PipelinePart, ReceiverPart, StagePart, Task, take};
use super::pipeline::Change;
use super::running::Running;
use super::stop::{GRACE, KEEP, end};
use super::wire::{ask, tells_of_what_goes_on};
use crate::component::Receiver;
use crate::outlet::Request;
use crate::queue::Door;
use crate::{PipelineSpec, Stop};

/// The longest that a receiver is waited for which ends or changes: peers wait meanwhile.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Running {
    /// Nothing of it can fail: whatever could was made before.
    pub(super) async fn apply(&mut self, plan: Plan) {
        let gone_exporters = self.apply_exporters(plan.exporters);
        let told = self.tellers();
        let replaced = self.silence(&plan.receivers, &plan.pipelines).await;
        let gone_pipelines = self.apply_pipelines(plan.pipelines, &told).await;
        self.apply_receivers(plan.receivers, &replaced);
        self.tell_askers();
        self.leave(gone_pipelines, gone_exporters);
    }

    fn apply_exporters(&mut self, planned: Vec<Planned<crate::Exporter>>) -> Vec<ExporterPart> {
        let mut before = mem::take(&mut self.parts.exporters);
        let mut gone = Vec::new();
        for planned in planned {
            let part = take(&mut before, &planned, |part| &part.instance);
            match (planned, part) {
                (Planned::Kept(_), part) => self.parts.exporters.extend(part),
                (Planned::Made(maker, exporter), part) => {
                    let (part, left) = self.exporter(maker, exporter, part);
                    self.parts.exporters.push(part);
                    gone.extend(left);
                }
            }
        }
        gone.extend(before);
        gone
    }

    /// The receivers that tell of what goes on.
    fn tellers(&self) -> Vec<String> {
        let instances = self.parts.receivers.iter().map(|part| &part.instance);
        let tellers = instances.filter(|instance| tells_of_what_goes_on(instance));
        tellers.map(|instance| instance.id.clone()).collect()
    }

    /// Ends the receivers that are not kept, and lets the others wait where their ways change; the ids of
    /// those that ended.
    async fn silence(
        &mut self,
        planned: &[Planned<Box<dyn Receiver>>],
        pipelines: &[PlannedPipeline],
    ) -> Vec<String> {
        let stays = |part: &ReceiverPart| {
            let mut planned = planned.iter();
            planned
                .any(|one| matches!(one, Planned::Kept(kept) if Arc::ptr_eq(kept, &part.instance)))
        };
        let (kept, ending): (Vec<_>, Vec<_>) = mem::take(&mut self.parts.receivers)
            .into_iter()
            .partition(stays);
        self.parts.receivers = kept;
        let (mut tasks, mut ids, mut ways) = (Vec::new(), Vec::new(), Vec::new());
        for part in ending {
            part.stop.send_replace(true);
            ids.push(part.instance.id.clone());
            ways.push(part.ways);
            tasks.push(part.task);
        }
        let patience = LAST_WORDS.min(self.service.drain / 2);
        end(tasks, Instant::now() + patience, &mut Vec::new()).await;
        // One that did not end in time must not keep its pipelines open.
        ways.iter().for_each(|ways| ways.set(Some(Vec::new())));
        for part in &self.parts.receivers {
            if self.is_touched(&part.instance.id, pipelines) {
                part.ways.set(None);
            }
        }
        ids
    }

    /// Whether a pipeline that a receiver leads into, now or next, changes.
    fn is_touched(&self, receiver: &String, next: &[PlannedPipeline]) -> bool {
        let leaves = self.parts.pipelines.iter().any(|part| {
            part.spec.receivers.contains(receiver)
                && !next.iter().any(|one| one.spec.name == part.spec.name)
        });
        leaves
            || next.iter().any(|PlannedPipeline { spec, chain, .. }| {
                let part = self.parts.pipeline(&spec.name);
                let leads = |spec: &PipelineSpec| spec.receivers.contains(receiver);
                (leads(spec) || part.is_some_and(|part| leads(&part.spec)))
                    && part.is_none_or(|part| self.differs(part, spec, chain))
            })
    }

    fn differs(&self, part: &PipelinePart, spec: &PipelineSpec, chain: &Chained) -> bool {
        let anew = |one: &Planned<_>| matches!(one, Planned::Made(..));
        part.spec != *spec || chain.iter().any(anew) || !part.door.leads_to(&self.ends(spec).0)
    }

    /// Brings every pipeline to what is planned; those that are planned no more.
    async fn apply_pipelines(
        &mut self,
        planned: Vec<PlannedPipeline>,
        told: &[String],
    ) -> Vec<PipelinePart> {
        let mut before = mem::take(&mut self.parts.pipelines);
        let mut changes = Vec::new();
        for planned in planned {
            let is_it = |part: &PipelinePart| part.spec.name == planned.spec.name;
            let at = before.iter().position(is_it);
            let part = match at.map(|at| before.remove(at)) {
                None => self.pipeline(planned),
                Some(part) if !self.differs(&part, &planned.spec, &planned.chain) => part,
                Some(mut part) => {
                    let PlannedPipeline { spec, chain, .. } = planned;
                    changes.push(self.change(&mut part, spec, chain, told));
                    part
                }
            };
            self.parts.pipelines.push(part);
        }
        let deadline = Instant::now() + self.service.drain;
        for (pipeline, done) in changes {
            if timeout_at(deadline, done).await.is_err() {
                warn!(%pipeline, "waits for a full queue: it changes when it goes on");
            }
        }
        before
    }

    /// Asks a pipeline to change; resolved when it has.
    fn change(
        &self,
        part: &mut PipelinePart,
        spec: PipelineSpec,
        chain: Chained,
        told: &[String],
    ) -> (String, oneshot::Receiver<()>) {
        let (stages, next): (Vec<StagePart>, _) = self.chain(&spec, chain, &part.stages);
        let (push, pull) = self.ends(&spec);
        if !part.door.leads_to(&push) {
            part.door = Arc::new(Door::new(&push, part.gate.clone()));
        }
        let (done, changed) = oneshot::channel();
        let mut requests = vec![Request::Change(Box::new(Change {
            chain: next,
            door: Arc::clone(&part.door),
            push,
            pull,
            done,
        }))];
        // What a receiver told of that leads here no more will never be ended by it.
        let is_lost = |id: &String| told.contains(id) && !spec.receivers.contains(id);
        if part.spec.receivers.iter().any(is_lost) {
            requests.push(Request::Renew);
        }
        tokio::spawn(ask(part.place.clone(), requests));
        part.stages = stages;
        let name = spec.name.clone();
        part.spec = spec;
        (name, changed)
    }

    fn apply_receivers(&mut self, planned: Vec<Planned<Box<dyn Receiver>>>, replaced: &[String]) {
        let mut before = mem::take(&mut self.parts.receivers);
        for planned in planned {
            let part = take(&mut before, &planned, |part| &part.instance);
            match (planned, part) {
                (Planned::Kept(instance), Some(part)) => {
                    part.ways.set(Some(self.ways(&instance.id)));
                    self.parts.receivers.push(part);
                }
                (Planned::Kept(_), None) => {}
                (Planned::Made(maker, receiver), _) => {
                    let renew = replaced.contains(&maker.instance.id);
                    let part = self.receiver(maker, receiver, renew);
                    self.parts.receivers.push(part);
                }
            }
        }
    }

    /// Tells exporters that ask whom to ask.
    fn tell_askers(&self) {
        for part in &self.parts.exporters {
            let End::Asked(asker) = &part.end else {
                continue;
            };
            let ends_here =
                |pipeline: &&PipelinePart| pipeline.spec.exporters.contains(&part.instance.id);
            let pipelines = self.parts.pipelines.iter().filter(ends_here);
            let places = pipelines.map(|pipeline| pipeline.place.downgrade());
            asker.pipelines.set(places.collect());
        }
    }

    /// Drains what has left the graph, beside it.
    fn leave(&mut self, pipelines: Vec<PipelinePart>, exporters: Vec<ExporterPart>) {
        self.parts.leaving.retain(|task| !task.is_finished());
        if pipelines.is_empty() && exporters.is_empty() {
            return;
        }
        let cut = Stop(self.cutting.subscribe());
        let leaving = leave(pipelines, exporters, self.service.drain, cut);
        self.parts.leaving.push(tokio::spawn(leaving));
    }
}

/// Ends pipelines and exporters in the order of the flow; what was left in queues, by exporter.
async fn leave(
    pipelines: Vec<PipelinePart>,
    exporters: Vec<ExporterPart>,
    patience: Duration,
    mut cut: Stop,
) -> Vec<(String, u64)> {
    let (mut tasks, mut cuts): (Vec<Task>, Vec<_>) = (Vec::new(), Vec::new());
    for PipelinePart { task, cut, .. } in pipelines {
        // Its place goes here: it ends when whoever still hands over has done so.
        tasks.push(task);
        cuts.push(cut);
    }
    let (mut senders, mut servers, mut fronts) = (Vec::new(), Vec::new(), Vec::new());
    for part in exporters {
        match part.end {
            End::Sent(sent) => {
                cuts.push(sent.cut);
                fronts.push((sent.front, sent.drain));
                senders.push(sent.task);
            }
            End::Asked(asker) => {
                asker.stop.send_replace(true);
                servers.push(asker.task);
            }
        }
    }
    let ended = async {
        for task in &mut tasks {
            let _ = (&mut task.handle).await;
        }
        for (front, drain) in &fronts {
            front.queue.close();
            drain.send_replace(true);
        }
        for task in senders.iter_mut().chain(&mut servers) {
            let _ = (&mut task.handle).await;
        }
    };
    let in_time = tokio::select! {
        biased;
        () = cut.wait() => false,
        ended = timeout(patience, ended) => ended.is_ok(),
    };
    if !in_time {
        cuts.iter().for_each(|cut| {
            cut.send_replace(true);
        });
        let late = tasks.into_iter().chain(senders).chain(servers);
        let late = late.filter(|task| !task.handle.is_finished()).collect();
        end(late, Instant::now() + GRACE, &mut Vec::new()).await;
    }
    let mut left = Vec::new();
    for (front, _) in fronts {
        front.keep(Instant::now() + KEEP).await;
        let items = front.abandon("drain");
        if items > 0 {
            warn!(exporter = %front.id, items, "has left the file: what its queue still held is dropped");
            left.push((front.id.to_string(), items));
        }
    }
    left
}
