//! Joins what was built and sets it going: exporters, then pipelines, then receivers.

use std::mem;
use std::sync::Arc;

use tapetum_model::{Attr, Metric, Signal};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Lent;
use super::build::{Built, Made};
use super::chain::{Chain, Stage};
use super::export::{Requests, Sender};
use super::owed::Owed;
use super::pipeline::Pipeline;
use super::readiness::Watched;
use super::running::{Running, State, Task};
use super::ward::{Maker, Ward};
use crate::admin;
use crate::books::Account;
use crate::component::{Exporter, Receiver};
use crate::outlet::{Request, Way};
use crate::queue::{Board, Door, Front};
use crate::random::Random;
use crate::seldom::Seldom;
use crate::{
    Export, Gives, Kind, Outlet, PipelineSpec, Pressure, Scrape, Serve, ServiceSpec, Stop,
};

/// What grows while a graph is wired.
struct Wiring {
    lent: Lent,
    specs: Vec<PipelineSpec>,
    /// Ids of the exporters, by their number.
    exporters: Vec<String>,
    watched: Vec<Watched>,
    accounts: Vec<Arc<Account>>,
    /// By pipeline.
    places: Vec<mpsc::Sender<Request>>,
    doors: Vec<Arc<Door>>,
    /// By exporter: of those that are sent to, and of those that ask.
    fronts: Vec<Option<Arc<Front>>>,
    pulls: Vec<Option<Arc<Account>>>,
    cut: Stop,
}

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

pub(super) fn wire(
    built: Built,
    lent: Lent,
    service: &ServiceSpec,
    listener: Option<TcpListener>,
) -> Running {
    let (receiving, receivers_stop) = Stop::channel();
    let (draining, drain) = Stop::channel();
    let (serving, serve_stop) = Stop::channel();
    let (cutting, cut) = Stop::channel();
    let (mut wiring, requests) = Wiring::new(&built, lent, cut);
    let behind = built.receivers.iter();
    let behind = behind.map(|(maker, _)| wiring.behind(&maker.instance.id));
    let (board, pressures) = Board::new(built.exporters.len(), behind.collect::<Vec<_>>());

    let board = Arc::new(board);
    let (mut exporters, mut servers) = (Vec::new(), Vec::new());
    for (at, (maker, exporter)) in built.exporters.into_iter().enumerate() {
        match exporter {
            Exporter::Push { encode, export } => {
                let front = wiring.front(&maker, encode, &board, at);
                exporters.push(wiring.exporter(maker, export, front, at, &drain));
            }
            Exporter::Pull(serve) => servers.push(wiring.server(maker, serve, at, &serve_stop)),
        }
    }
    let pipelines = built.pipelines.into_iter().zip(requests);
    let pipelines = pipelines
        .map(|((spec, chain), requests)| wiring.pipeline(&spec, chain, requests))
        .collect();
    let alive = Arc::new(watch::Sender::new(built.receivers.len()));
    let mut receivers = Vec::new();
    for ((maker, receiver), pressure) in built.receivers.into_iter().zip(pressures) {
        let outlet = wiring.outlet(&maker.instance.id, pressure);
        receivers.push(wiring.receiver(maker, receiver, outlet, &receivers_stop, &alive));
    }

    let state = State::new(wiring.lent, wiring.watched, wiring.accounts);
    let state = Arc::new(state);
    let address = listener.as_ref().map(TcpListener::local_addr);
    Running {
        admin: listener.map(|listener| tokio::spawn(admin::serve(listener, Arc::clone(&state)))),
        admin_address: address.and_then(Result::ok),
        state,
        drain: service.drain,
        receiving,
        draining,
        serving,
        cutting,
        places: wiring.places,
        fronts: wiring.fronts.into_iter().flatten().collect(),
        receivers,
        pipelines,
        exporters,
        servers,
        alive,
    }
}

impl Wiring {
    fn new(built: &Built, lent: Lent, cut: Stop) -> (Self, Vec<mpsc::Receiver<Request>>) {
        let specs: Vec<PipelineSpec> = built
            .pipelines
            .iter()
            .map(|(spec, _)| spec.clone())
            .collect();
        let exporters = built.exporters.iter();
        let (places, requests) = specs.iter().map(|_| mpsc::channel(1)).unzip();
        let wiring = Self {
            lent,
            specs,
            exporters: exporters
                .map(|(maker, _)| maker.instance.id.clone())
                .collect(),
            watched: Vec::new(),
            accounts: Vec::new(),
            places,
            doors: Vec::new(),
            fronts: Vec::new(),
            pulls: Vec::new(),
            cut,
        };
        (wiring, requests)
    }

    /// The numbers of the exporters that a receiver's batches can reach.
    fn behind(&self, receiver: &String) -> Vec<usize> {
        let reaches = |exporter: &String| {
            let mut specs = self.specs.iter();
            specs.any(|spec| spec.receivers.contains(receiver) && spec.exporters.contains(exporter))
        };
        let numbers = 0..self.exporters.len();
        numbers.filter(|at| reaches(&self.exporters[*at])).collect()
    }

    fn ward(&mut self, maker: &Maker, kind: Kind, pipeline: Option<&str>) -> Ward {
        let ward = maker.ward(kind, pipeline);
        self.watched.push(Watched {
            who: ward.who().to_owned(),
            healths: ward.healths(),
        });
        ward
    }

    fn account(&mut self, kind: Kind, id: &str, pipeline: Option<&str>) -> Arc<Account> {
        let account = Account::open(&self.lent.telemetry, kind, id, pipeline);
        self.accounts.push(Arc::clone(&account));
        account
    }

    fn front(
        &mut self,
        maker: &Maker,
        encode: Box<dyn crate::Encode>,
        board: &Arc<Board>,
        at: usize,
    ) -> Arc<Front> {
        let id = &maker.instance.id;
        let account = self.account(Kind::Exporter, id, None);
        account.may_lose(&LOST_BY_EXPORTERS);
        let telemetry = &maker.context.telemetry;
        let place = (Arc::clone(board), at);
        let front = Front::new(id, encode, maker.instance.queue, telemetry, account, place);
        let front = Arc::new(front);
        self.fronts.push(Some(Arc::clone(&front)));
        self.pulls.push(None);
        front
    }

    fn exporter(
        &mut self,
        maker: Maker,
        export: Box<dyn Export>,
        front: Arc<Front>,
        at: usize,
        drain: &Stop,
    ) -> Task {
        let ward = self.ward(&maker, Kind::Exporter, None);
        let sender = Sender {
            front,
            ward,
            retry: maker.instance.retry,
            limit: self.lent.options.export_timeout,
            random: Random::new(self.lent.options.seed, at as u64),
            requests: Requests::new(&maker.context.telemetry),
            draining: drain.clone(),
            log: Seldom::default(),
            maker,
        };
        let who = sender.ward_name();
        Task::new(who, tokio::spawn(sender.run(export, self.cut.clone())))
    }

    fn server(&mut self, maker: Maker, serve: Box<dyn Serve>, at: usize, stop: &Stop) -> Task {
        let account = self.account(Kind::Exporter, &maker.instance.id, None);
        self.fronts.push(None);
        self.pulls.push(Some(account));
        let asked = self.specs.iter().zip(&self.places);
        let scrape = Scrape {
            exporter: at,
            pipelines: asked
                .filter(|(spec, _)| spec.exporters.contains(&maker.instance.id))
                .map(|(_, place)| place.downgrade())
                .collect(),
            own: None,
        };
        let mut ward = self.ward(&maker, Kind::Exporter, None);
        let stop = stop.clone();
        Task::new(
            ward.who().to_owned(),
            tokio::spawn(async move {
                let run = |serve: Box<dyn Serve>| serve.run(scrape.clone(), stop.clone());
                let make = || match maker.exporter()? {
                    Exporter::Pull(serve) => Ok(serve),
                    Exporter::Push { .. } => {
                        Err(crate::BuildError::new("it is no longer one that is asked"))
                    }
                };
                ward.attend(serve, run, make, stop.clone(), false).await;
            }),
        )
    }

    fn pipeline(
        &mut self,
        spec: &PipelineSpec,
        chain: Made,
        requests: mpsc::Receiver<Request>,
    ) -> Task {
        let mut stages = Vec::new();
        for (maker, processor) in chain {
            let ward = self.ward(&maker, Kind::Processor, Some(&spec.name));
            let account = self.account(Kind::Processor, &maker.instance.id, Some(&spec.name));
            account.may_lose(&LOST_BY_PROCESSORS);
            stages.push(Stage::new(maker, ward, account, processor));
        }
        let ends = spec.exporters.iter();
        let ends: Vec<usize> = ends
            .filter_map(|id| self.exporters.iter().position(|known| known == id))
            .collect();
        let push: Vec<Arc<Front>> = ends
            .iter()
            .filter_map(|at| self.fronts[*at].clone())
            .collect();
        let pull = ends
            .iter()
            .filter_map(|at| Some((*at, self.pulls[*at].clone()?)))
            .collect();
        let door = Arc::new(Door::new(&push));
        self.doors.push(Arc::clone(&door));
        let labels = [(Attr::Pipeline, spec.name.as_str())];
        let pipeline = Pipeline {
            chain: Chain {
                stages,
                clock: Arc::clone(&self.lent.options.clock),
            },
            door,
            owed: Owed::new(&push),
            push,
            pull,
            requests,
            window_end: self.lent.telemetry.gauge(Metric::WindowEnd, &labels),
            cut: self.cut.clone(),
        };
        Task::new(
            format!("pipeline `{}`", spec.name),
            tokio::spawn(pipeline.run()),
        )
    }

    fn outlet(&mut self, receiver: &String, pressure: watch::Receiver<Pressure>) -> Outlet {
        let mut ways = Vec::new();
        for at in 0..self.specs.len() {
            if self.specs[at].receivers.contains(receiver) {
                let pipeline = self.specs[at].name.clone();
                let account = self.account(Kind::Receiver, receiver, Some(&pipeline));
                account.may_lose(&LOST_AT_DOORS);
                ways.push(Way {
                    place: self.places[at].clone(),
                    door: Arc::clone(&self.doors[at]),
                    account,
                });
            }
        }
        Outlet { ways, pressure }
    }

    fn receiver(
        &mut self,
        maker: Maker,
        receiver: Box<dyn Receiver>,
        outlet: Outlet,
        stop: &Stop,
        alive: &Arc<watch::Sender<usize>>,
    ) -> Task {
        let mut ward = self.ward(&maker, Kind::Receiver, None);
        let (stop, alive) = (stop.clone(), Arc::clone(alive));
        let who = ward.who().to_owned();
        let remembered = tells_of_what_goes_on(&maker);
        let task: JoinHandle<()> = tokio::spawn(async move {
            let mut anew = false;
            let run = |receiver: Box<dyn Receiver>| {
                let (outlet, stop) = (outlet.again(), stop.clone());
                let renew = mem::replace(&mut anew, remembered);
                async move {
                    if renew {
                        outlet.renew().await;
                    }
                    receiver.run(outlet, stop).await
                }
            };
            let make = || maker.receiver();
            ward.attend(receiver, run, make, stop.clone(), true).await;
            alive.send_modify(|alive| *alive -= 1);
        });
        Task::new(who, task)
    }
}

/// Records are of things that go on, like connections. A receiver of theirs that is made anew finds
/// those that are open and tells of them again, and never of the end of those that ended meanwhile.
fn tells_of_what_goes_on(receiver: &Maker) -> bool {
    match receiver.instance.component.gives {
        Gives::These(signals) => signals.contains(&Signal::Connections),
        Gives::Same | Gives::Nothing => false,
    }
}
