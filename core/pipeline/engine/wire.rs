//! Sets what was made going: one task an exporter, a pipeline, a receiver.

use std::mem;
use std::sync::Arc;

use tapetum_model::{Attr, Metric, Signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::build::{Chained, Planned, PlannedPipeline};
use super::chain::{Chain, Next, Stage};
use super::export::{Exchange, Replacement, Requests, Sender};
use super::owed::Owed;
use super::parts::{Asker, End, ExporterPart, PipelinePart, ReceiverPart, Sent, StagePart, Task};
use super::pipeline::Pipeline;
use super::readiness::Watched;
use super::receipts::Receipts;
use super::running::Running;
use super::ward::Maker;
use crate::books::Account;
use crate::component::{Exporter, Receiver};
use crate::outlet::{Asked, Request, Way, Ways};
use crate::queue::{Door, Front};
use crate::random::Random;
use crate::seldom::Seldom;
use crate::{Encode, Export, Gives, Instance, Kind, Outlet, PipelineSpec, Scrape, Serve, Stop};

/// The reasons for a loss that there are, said from the start.
const LOST_AT_DOORS: [&str; 2] = ["drain", "stopped"];
const LOST_BY_PROCESSORS: [&str; 2] = ["panic", "restarting"];
const LOST_BY_EXPORTERS: [&str; 10] = [
    "queue_full",
    "too_large",
    "gave_up",
    "permanent",
    "rejected",
    "not_encodable",
    "not_encoded",
    "panic",
    "restarting",
    "drain",
];
const LOST_ON_DISK: [&str; 1] = ["damaged"];

/// The exporters at the end of a pipeline: those that are sent to, and those that ask.
pub(super) type Ends = (Vec<Arc<Front>>, Vec<(Arc<str>, Arc<Account>)>);

impl Running {
    fn account(&self, kind: Kind, id: &str, pipeline: Option<&str>) -> Arc<Account> {
        self.state.ledger.open(kind, id, pipeline)
    }

    /// An exporter that was made. `before`: the one of the same name that it replaces, whose queue goes on
    /// if it is described as before; else the one before is given back.
    pub(super) fn exporter(
        &mut self,
        maker: Maker,
        exporter: Exporter,
        before: Option<ExporterPart>,
    ) -> (ExporterPart, Option<ExporterPart>) {
        match (exporter, before) {
            (Exporter::Push { encode, export }, Some(mut part))
                if part.instance.queue == maker.instance.queue && part.front().is_some() =>
            {
                part.instance = Arc::clone(&maker.instance);
                part.watched = replace(&part.end, maker, encode, export);
                (part, None)
            }
            (Exporter::Push { encode, export }, before) => {
                (self.sender(maker, encode, export), before)
            }
            (Exporter::Pull(serve), before) => {
                let asked = match &before {
                    Some(ExporterPart {
                        end: End::Asked(asker),
                        ..
                    }) => asker.pipelines.clone(),
                    _ => Asked::default(),
                };
                (self.server(maker, serve, asked), before)
            }
        }
    }

    fn sender(
        &mut self,
        maker: Maker,
        encode: Box<dyn Encode>,
        export: Box<dyn Export>,
    ) -> ExporterPart {
        let instance = Arc::clone(&maker.instance);
        let account = self.account(Kind::Exporter, &instance.id, None);
        account.may_lose(&LOST_BY_EXPORTERS);
        let telemetry = &maker.context.telemetry;
        let front = Front::new(&instance.id, encode, instance.queue, telemetry, account);
        let front = Arc::new(front);
        if instance.queue.disk.is_some() {
            front.account.may_lose(&LOST_ON_DISK);
        }
        let options = &self.lent.options;
        front.keep_on_disk(&options.files, &self.service.data_dir, telemetry);
        let ward = maker.ward(Kind::Exporter, None);
        let watched = Watched::of(&ward);
        let (drain, draining) = Stop::channel();
        let (cut, cutting) = Stop::channel();
        let exchange = Arc::new(Exchange::default());
        self.exporters_made += 1;
        let sender = Sender {
            front: Arc::clone(&front),
            ward,
            retry: instance.retry,
            limit: self.lent.options.export_timeout,
            random: Random::new(self.lent.options.seed, self.exporters_made - 1),
            requests: Requests::new(telemetry),
            draining,
            log: Seldom::default(),
            exchange: Arc::clone(&exchange),
            maker,
        };
        let who = sender.ward_name();
        let task = Task::new(who, tokio::spawn(sender.run(export, cutting)));
        ExporterPart {
            instance,
            watched,
            end: End::Sent(Sent {
                front,
                exchange,
                drain,
                cut,
                task,
            }),
        }
    }

    fn server(&mut self, maker: Maker, serve: Box<dyn Serve>, asked: Asked) -> ExporterPart {
        let instance = Arc::clone(&maker.instance);
        let account = self.account(Kind::Exporter, &instance.id, None);
        let scrape = Scrape {
            exporter: instance.id.as_str().into(),
            pipelines: asked.clone(),
            own: None,
        };
        let mut ward = maker.ward(Kind::Exporter, None);
        let (watched, who) = (Watched::of(&ward), ward.who().to_owned());
        let (stop, stopping) = Stop::channel();
        let task = tokio::spawn(async move {
            let run = |serve: Box<dyn Serve>| serve.run(scrape.clone(), stopping.clone());
            let make = || match maker.exporter()? {
                Exporter::Pull(serve) => Ok(serve),
                Exporter::Push { .. } => {
                    Err(crate::BuildError::new("it is no longer one that is asked"))
                }
            };
            let stop = stopping.clone();
            ward.attend(serve, run, make, stop, false).await;
        });
        ExporterPart {
            instance,
            watched,
            end: End::Asked(Asker {
                account,
                pipelines: asked,
                stop,
                task: Task::new(who, task),
            }),
        }
    }

    /// What a pipeline ends in, of the exporters that there are now.
    pub(super) fn ends(&self, spec: &PipelineSpec) -> Ends {
        let (mut push, mut pull) = (Vec::new(), Vec::new());
        for id in &spec.exporters {
            match self.parts.exporter(id).map(|part| &part.end) {
                Some(End::Sent(sent)) => push.push(Arc::clone(&sent.front)),
                Some(End::Asked(asker)) => {
                    pull.push((id.as_str().into(), Arc::clone(&asker.account)));
                }
                None => {}
            }
        }
        (push, pull)
    }

    /// A pipeline that was not there before.
    pub(super) fn pipeline(&self, planned: PlannedPipeline) -> PipelinePart {
        let PlannedPipeline { spec, chain, gate } = planned;
        let (stages, next) = self.chain(&spec, chain, &[]);
        let stages_of = next.into_iter().filter_map(|one| match one {
            Next::Made(stage) => Some(*stage),
            Next::Kept(_) => None,
        });
        let (push, pull) = self.ends(&spec);
        let door = Arc::new(Door::new(&push, gate.clone()));
        let (place, requests) = mpsc::channel(1);
        let (cut, cutting) = Stop::channel();
        let labels = [(Attr::Pipeline, spec.name.as_str())];
        let name: Arc<str> = spec.name.as_str().into();
        let pipeline = Pipeline {
            chain: Chain {
                stages: stages_of.collect(),
                clock: Arc::clone(&self.lent.options.clock),
                pipeline: Arc::clone(&name),
                taps: Arc::clone(&self.state.taps),
            },
            name,
            taps: Arc::clone(&self.state.taps),
            door: Arc::clone(&door),
            owed: Owed::new(&push),
            receipts: Receipts::default(),
            push,
            pull,
            requests,
            window_end: self.state.telemetry.gauge(Metric::WindowEnd, &labels),
            cut: cutting,
        };
        let who = format!("pipeline `{}`", spec.name);
        PipelinePart {
            spec,
            stages,
            place,
            door,
            gate,
            cut,
            task: Task::new(who, tokio::spawn(pipeline.run())),
        }
    }

    /// The processors of a pipeline in their next order, `before` being those that it has.
    pub(super) fn chain(
        &self,
        spec: &PipelineSpec,
        chain: Chained,
        before: &[StagePart],
    ) -> (Vec<StagePart>, Vec<Next>) {
        let (mut stages, mut next) = (Vec::new(), Vec::new());
        for planned in chain {
            let is_it = |stage: &StagePart| Arc::ptr_eq(&stage.instance, planned.instance());
            match planned {
                Planned::Kept(ref instance) => {
                    let Some(at) = before.iter().position(is_it) else {
                        continue;
                    };
                    stages.push(StagePart {
                        instance: Arc::clone(instance),
                        watched: before[at].watched.clone(),
                    });
                    next.push(Next::Kept(at));
                }
                Planned::Made(maker, processor) => {
                    let id = &maker.instance.id;
                    let ward = maker.ward(Kind::Processor, Some(&spec.name));
                    let account = self.account(Kind::Processor, id, Some(&spec.name));
                    account.may_lose(&LOST_BY_PROCESSORS);
                    stages.push(StagePart {
                        instance: Arc::clone(&maker.instance),
                        watched: Watched::of(&ward),
                    });
                    let stage = Stage::new(maker, ward, account, processor);
                    next.push(Next::Made(Box::new(stage)));
                }
            }
        }
        (stages, next)
    }

    /// The ways of a receiver into the pipelines that there are now.
    pub(super) fn ways(&self, receiver: &String) -> Vec<Way> {
        let mut ways = Vec::new();
        for part in &self.parts.pipelines {
            if part.spec.receivers.contains(receiver) {
                let account = self.account(Kind::Receiver, receiver, Some(&part.spec.name));
                account.may_lose(&LOST_AT_DOORS);
                ways.push(Way {
                    place: part.place.clone(),
                    door: Arc::clone(&part.door),
                    account,
                });
            }
        }
        ways
    }

    /// `renew`: the pipelines behind it remember what another one told them.
    pub(super) fn receiver(
        &self,
        maker: Maker,
        receiver: Box<dyn Receiver>,
        renew: bool,
    ) -> ReceiverPart {
        let instance = Arc::clone(&maker.instance);
        let mut ward = maker.ward(Kind::Receiver, None);
        let (watched, who) = (Watched::of(&ward), ward.who().to_owned());
        let ways = Ways::new(self.ways(&instance.id));
        let outlet = Outlet { ways: ways.clone() };
        let (stop, stopping) = Stop::channel();
        let alive = Arc::clone(&self.alive);
        alive.send_modify(|alive| *alive += 1);
        let remembered = tells_of_what_goes_on(&instance);
        let task: JoinHandle<()> = tokio::spawn(async move {
            let mut anew = renew && remembered;
            let run = |receiver: Box<dyn Receiver>| {
                let (outlet, stop) = (outlet.again(), stopping.clone());
                let renew = mem::replace(&mut anew, remembered);
                async move {
                    if renew {
                        outlet.renew().await;
                    }
                    receiver.run(outlet, stop).await
                }
            };
            let make = || maker.receiver();
            ward.attend(receiver, run, make, stopping.clone(), true)
                .await;
            alive.send_modify(|alive| *alive -= 1);
        });
        ReceiverPart {
            instance,
            watched,
            ways,
            stop,
            task: Task::new(who, task),
        }
    }
}

/// Gives the task that sends a changed exporter.
fn replace(end: &End, maker: Maker, encode: Box<dyn Encode>, export: Box<dyn Export>) -> Watched {
    let ward = maker.ward(Kind::Exporter, None);
    let watched = Watched::of(&ward);
    if let End::Sent(sent) = end {
        sent.exchange.give(Replacement {
            maker,
            ward,
            encode,
            export,
        });
    }
    watched
}

/// Records are of things that go on, like connections. A receiver of theirs that is made anew finds
/// those that are open and tells of them again, and never of the end of those that ended meanwhile.
pub(super) fn tells_of_what_goes_on(receiver: &Instance) -> bool {
    match receiver.component.gives {
        Gives::These(signals) => signals.contains(&Signal::Connections),
        Gives::Same | Gives::Nothing => false,
    }
}

/// What a pipeline is asked to do, in order, by a task of its own.
pub(super) async fn ask(place: mpsc::Sender<Request>, requests: Vec<Request>) {
    for request in requests {
        // A pipeline that is gone has nothing to change.
        let _ = place.send(request).await;
    }
}
