//! The watch: follows the API server and feeds the index, until its last holder lets it go.
//!
//! Tasks: one follower a kind lists and watches; the feed resolves controllers, is the only one that
//! has the [`Writer`], and publishes. Between them is a bounded place: a slow feed slows the reading.
//! Whatever fails is tried again later each time; readers keep what they have.

mod api;
mod feed;
mod follow;
mod lines;
mod owners;
mod pace;
mod share;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use tapetum_model::UnixNanos;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{error, warn};

use self::api::{Api, ApiError};
use self::feed::{Feed, Standing, Trouble};
use self::follow::{Follower, News, Object};
use self::owners::Owners;
pub use self::pace::Pace;
use self::pace::{Backoff, Random};
use crate::counts::{Counted, Counts};
use crate::object::{self, Bare};
use crate::{Index, Kind, Naming, Writer};

/// The time, passed in.
pub type Clock = Arc<dyn Fn() -> UnixNanos + Send + Sync>;

/// News between the followers and the feed.
const NEWS_MAX: usize = 256;

/// What decides a watch: two equal ones are one watch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// What is watched.
    pub scope: Scope,
    /// The node of [`Scope::Node`].
    pub node: Arc<str>,
    /// How pods are called.
    pub naming: Naming,
    /// Where the API server is.
    pub source: Source,
    /// How long it waits for what.
    pub pace: Pace,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All pods, Services and nodes.
    Cluster,
    /// The pods of one node, and the node.
    Node,
}

/// Where the API server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// As `KUBECONFIG` says, or the pod's own service account.
    Inferred,
    /// As this file says, which is written as `kubectl`'s.
    File(PathBuf),
    /// There, without credentials.
    Url(String),
}

/// A watch that runs; dropping the last handle ends it.
#[derive(Debug)]
pub struct Watch {
    index: Index,
    counts: Arc<Counts>,
    trouble: Trouble,
    told: Mutex<Counted>,
    _tasks: JoinSet<()>,
}

/// A watch cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It needs tasks.
    #[error("the cluster can only be watched from within an asynchronous runtime")]
    NoRuntime,
    /// Which node's pods?
    #[error("`scope = \"node\"` needs the node's name: set `node = \"${{env:NODE_NAME}}\"`")]
    NoNode,
}

impl Watch {
    /// Starts a watch. Nothing is waited for: an API server that is away is tried again.
    ///
    /// # Errors
    /// Outside of a runtime, or without the node of a node's scope.
    pub fn start(settings: Settings, clock: Clock, seed: u64) -> Result<Self, WatchError> {
        if settings.scope == Scope::Node && settings.node.is_empty() {
            return Err(WatchError::NoNode);
        }
        let handle = Handle::try_current().map_err(|_| WatchError::NoRuntime)?;
        let index = Index::default();
        let counts = Arc::new(Counts::default());
        let trouble = Trouble::default();
        let run = Run {
            settings,
            clock,
            random: Mutex::new(Random::new(seed, 0)),
            index: index.clone(),
            counts: Arc::clone(&counts),
            trouble: Arc::clone(&trouble),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn_on(supervise(Arc::new(run)), &handle);
        Ok(Self {
            index,
            counts,
            trouble,
            told: Mutex::default(),
            _tasks: tasks,
        })
    }

    /// Where readers find snapshots.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index.clone()
    }

    /// What it did so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.counts.read()
    }

    /// What it did since this was last asked, by whichever holder: each thing is told once.
    #[must_use]
    pub fn increments(&self) -> Counted {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.counts.read();
        now.since(std::mem::replace(&mut *told, now))
    }

    /// What is wrong at the moment: a sentence for whoever asks why names are missing.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = Kind::ALL.iter().zip(trouble.iter());
        let mut all: Vec<String> = Vec::new();
        for (kind, why) in kinds.filter_map(|(kind, why)| Some((kind, why.as_ref()?))) {
            all.push(format!("{}: {why}", kind.name()));
        }
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What the tasks of a watch share.
struct Run {
    settings: Settings,
    clock: Clock,
    random: Mutex<Random>,
    index: Index,
    counts: Arc<Counts>,
    trouble: Trouble,
}

/// A watch that fell by a bug is started anew; readers keep what they have.
async fn supervise(run: Arc<Run>) {
    let mut backoff = Backoff::new(run.settings.pace, run.random());
    loop {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&run).run());
        while let Some(ended) = tasks.join_next().await {
            if let Err(why) = ended {
                error!("the watch of the cluster failed and is started anew: {why}");
            }
        }
        sleep(backoff.next()).await;
    }
}

impl Run {
    async fn run(self: Arc<Self>) {
        let api = self.connect().await;
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self).cluster_uid(api.clone(), sender.clone()));
        let kinds = self.follow(&mut tasks, &api, &sender);
        drop(sender);
        let feed = Feed {
            writer: Writer::of(self.index.clone(), self.settings.naming.clone()),
            owners: Owners::new(api, self.settings.pace, self.random()),
            news,
            counts: Arc::clone(&self.counts),
            clock: Arc::clone(&self.clock),
            pace: self.settings.pace,
            trouble: Arc::clone(&self.trouble),
            standing: Standing::of(&kinds),
            parked: HashMap::new(),
        };
        tasks.spawn(feed.run());
        // None of them but the first ends by itself.
        while let Some(ended) = tasks.join_next().await {
            if let Err(why) = ended {
                std::panic::resume_unwind(why.into_panic());
            }
        }
    }

    async fn connect(&self) -> Api {
        let pace = self.settings.pace;
        let mut backoff = Backoff::new(pace, self.random());
        loop {
            let counts = Arc::clone(&self.counts);
            match Api::connect(&self.settings.source, counts, pace.answer).await {
                Ok(api) => return api,
                Err(why) => {
                    if backoff.failures() == 0 {
                        warn!("the cluster cannot be watched yet: {why}");
                    }
                    let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                    trouble[Kind::Pods as usize] = Some(why.to_string());
                }
            }
            sleep(backoff.next()).await;
        }
    }

    /// Starts the followers that the scope needs.
    fn follow(&self, tasks: &mut JoinSet<()>, api: &Api, news: &mpsc::Sender<News>) -> Vec<Kind> {
        let node = follow::encoded(&self.settings.node);
        let (pods, nodes) = match self.settings.scope {
            Scope::Cluster => (String::new(), String::new()),
            Scope::Node => (
                format!("fieldSelector=spec.nodeName%3D{node}"),
                format!("fieldSelector=metadata.name%3D{node}"),
            ),
        };
        let follower = |kind, path, selector| Follower {
            kind,
            path,
            selector,
            api: api.clone(),
            counts: Arc::clone(&self.counts),
            clock: Arc::clone(&self.clock),
            pace: self.settings.pace,
            random: self.random(),
            news: news.clone(),
        };
        let mut kinds = vec![Kind::Nodes, Kind::Pods];
        begin::<object::Node>(tasks, follower(Kind::Nodes, "/api/v1/nodes", nodes));
        begin::<object::Pod>(tasks, follower(Kind::Pods, "/api/v1/pods", pods));
        if self.settings.scope == Scope::Cluster {
            kinds.extend([Kind::Services, Kind::EndpointSlices]);
            let all = String::new;
            let services = follower(Kind::Services, "/api/v1/services", all());
            begin::<object::Service>(tasks, services);
            let path = "/apis/discovery.k8s.io/v1/endpointslices";
            let slices = follower(Kind::EndpointSlices, path, all());
            begin::<object::EndpointSlice>(tasks, slices);
        }
        kinds
    }

    /// Reads once what the cluster's UID is.
    async fn cluster_uid(self: Arc<Self>, api: Api, news: mpsc::Sender<News>) {
        let mut backoff = Backoff::new(self.settings.pace, self.random());
        loop {
            match kube_system(&api).await {
                Ok(uid) => {
                    let _ = news.send(News::ClusterUid(uid)).await;
                    return;
                }
                Err(ApiError::Forbidden(why)) => {
                    warn!(
                        "{why}: allow the agent to get the namespace `kube-system`; `k8s.cluster.uid` stays away"
                    );
                    return;
                }
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }

    fn random(&self) -> Random {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.fork()
    }
}

fn begin<T: Object>(tasks: &mut JoinSet<()>, follower: Follower) {
    tasks.spawn(follower.run::<T>());
}

async fn kube_system(api: &Api) -> Result<String, ApiError> {
    let path = "/api/v1/namespaces/kube-system?resourceVersion=0";
    let bytes = api.read(path, owners::METADATA).await?;
    let bare: Bare =
        serde_json::from_slice(&bytes).map_err(|why| ApiError::Other(why.to_string()))?;
    Ok(bare.metadata.uid)
}
