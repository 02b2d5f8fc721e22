//! The writer's task: news in, snapshots out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tapetum_model::UnixNanos;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Clock;
use super::follow::{News, Whole};
use super::owners::{Chain, Owners};
use super::pace::Pace;
use crate::counts::Counts;
use crate::object::{self, OwnerReference};
use crate::{Kind, Moment, Owner, State, Writer};

/// Pods that wait until their controllers are known. Beyond, nothing is read from the API server.
const PARKED_MAX: usize = 512;
/// News that are taken before anything else is looked at.
const BURST: usize = 256;
/// The dead are looked for at least so often.
const IDLE: Duration = Duration::from_secs(1);
/// After the pods are all known, the other kinds are waited for so long.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(10);
/// Above so many nodes the agents together are a load for the API server.
const NODES_USUAL: usize = 500;

/// What is wrong at the moment, by kind: for `/readyz`.
pub(super) type Trouble = Arc<Mutex<[Option<String>; Kind::ALL.len()]>>;

/// Feeds the writer.
pub(super) struct Feed {
    pub(super) writer: Writer,
    pub(super) owners: Owners,
    pub(super) news: mpsc::Receiver<News>,
    pub(super) counts: Arc<Counts>,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) trouble: Trouble,
    pub(super) standing: Standing,
    /// By UID.
    pub(super) parked: HashMap<String, Parked>,
}

/// How it stands with the kinds that are followed.
#[derive(Debug)]
pub(super) struct Standing {
    kinds: Vec<(Kind, Known, Option<UnixNanos>)>,
    pods_since: Option<Instant>,
    shown: bool,
    said_large: bool,
}

/// Whether a kind is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    NotYet,
    Listed,
    Refused,
}

/// A pod that waits for the names of its controllers.
pub(super) struct Parked {
    pod: Box<object::Pod>,
    owner: String,
    heard: Moment,
    gone: bool,
}

impl Feed {
    /// Runs until nobody sends news any more.
    pub(super) async fn run(mut self) {
        let mut publish_at = Instant::now();
        loop {
            let room = self.parked.len() < PARKED_MAX;
            tokio::select! {
                biased;
                () = sleep_until(publish_at) => {
                    self.show();
                    publish_at = Instant::now() + IDLE;
                    continue;
                }
                chain = self.owners.next() => self.resolved(chain),
                news = self.news.recv(), if room => match news {
                    Some(news) => self.take(news),
                    None => return,
                },
            }
            for _ in 0..BURST {
                if self.parked.len() >= PARKED_MAX {
                    break;
                }
                let Ok(news) = self.news.try_recv() else {
                    break;
                };
                self.take(news);
            }
            publish_at = publish_at.min(Instant::now() + self.pace.publish);
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Is(whole, now) => self.is(whole, now),
            News::Gone(whole, now) => self.gone(whole, now),
            News::Listed(kind, seen, now) => {
                if kind == Kind::Pods {
                    for parked in self.parked.values_mut() {
                        parked.gone |= !seen.has(&parked.pod.metadata);
                    }
                }
                self.writer.keep(kind, &seen, now);
                self.standing.knows(kind, Known::Listed);
                self.heard(kind);
                self.judge_size(kind);
            }
            News::Refused(kind, since, why) => {
                // What was read before ages as if nobody answered.
                self.standing.cut(kind, since);
                if self.standing.knows(kind, Known::Refused) {
                    let name = kind.name();
                    warn!("{why}: allow the agent to list and watch `{name}`; it goes on without");
                }
                self.complain(kind, Some(why));
            }
            News::Heard(kind) => self.heard(kind),
            News::Cut(kind, since, why) => {
                if self.standing.cut(kind, since) {
                    warn!(
                        kind = kind.name(),
                        "is not heard of any more, names may be old: {why}"
                    );
                }
                self.complain(kind, Some(why));
            }
            News::ClusterUid(uid) => self.writer.cluster_uid(&uid),
        }
    }

    fn is(&mut self, whole: Whole, now: Moment) {
        match whole {
            Whole::Pod(pod) => self.pod(pod, now, false),
            Whole::Service(service) => self.writer.apply_service(&service),
            Whole::Endpoints(slice) => self.writer.apply_endpoints(&slice),
            Whole::Node(node) => self.writer.apply_node(&node),
        }
    }

    fn gone(&mut self, whole: Whole, now: Moment) {
        match whole {
            // What it was at last can be the first that is heard of its addresses.
            Whole::Pod(pod) => self.pod(pod, now, true),
            Whole::Service(service) => {
                self.writer.delete(Kind::Services, &service.metadata, now);
            }
            Whole::Endpoints(slice) => {
                self.writer
                    .delete(Kind::EndpointSlices, &slice.metadata, now);
            }
            Whole::Node(node) => self.writer.delete(Kind::Nodes, &node.metadata, now),
        }
    }

    fn pod(&mut self, pod: Box<object::Pod>, now: Moment, gone: bool) {
        let meta = &pod.metadata;
        // Before it has a node it has nothing that could be looked for.
        if pod.spec.node_name.is_empty() && !gone {
            return;
        }
        let Some(controller) = meta.controller().filter(|owner| !is_node(owner)) else {
            return self.apply(&pod, Arc::new([]), now, gone);
        };
        if let Some(owners) = self.owners.of(&meta.namespace, controller) {
            return self.apply(&pod, owners, now, gone);
        }
        let parked = Parked {
            owner: controller.uid.clone(),
            heard: now,
            gone,
            pod,
        };
        self.parked.insert(parked.pod.metadata.uid.clone(), parked);
    }

    fn resolved(&mut self, chain: Chain) {
        let waited = self
            .parked
            .extract_if(|_, parked| parked.owner == chain.uid);
        let waited: Vec<Parked> = waited.map(|(_, parked)| parked).collect();
        for parked in waited {
            if chain.is_cut {
                self.counts.unresolved();
            }
            let owners = Arc::clone(&chain.owners);
            self.apply(&parked.pod, owners, parked.heard, parked.gone);
        }
    }

    fn apply(&mut self, pod: &object::Pod, owners: Arc<[Owner]>, now: Moment, gone: bool) {
        self.parked.remove(&pod.metadata.uid);
        self.writer.apply_pod(pod, owners, now);
        if gone {
            self.writer.delete(Kind::Pods, &pod.metadata, now);
        }
    }

    fn heard(&mut self, kind: Kind) {
        if self.standing.hears(kind) {
            info!(kind = kind.name(), "is heard of again");
        }
        self.complain(kind, None);
    }

    fn complain(&self, kind: Kind, why: Option<String>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble[kind as usize] = why;
    }

    fn judge_size(&mut self, kind: Kind) {
        let nodes = self.writer.objects(Kind::Nodes);
        if kind == Kind::Nodes && nodes > NODES_USUAL && !self.standing.said_large {
            self.standing.said_large = true;
            warn!(
                nodes,
                "every agent watches all pods of a large cluster: set `scope = \"node\"` and let a gateway name far ends"
            );
        }
    }

    fn show(&mut self) {
        let objects = Kind::ALL.map(|kind| self.writer.objects(kind) as u64);
        self.counts.objects(objects);
        let now = Moment::fresh((self.clock)());
        if self.standing.may_be_shown() {
            self.writer.stands(self.standing.state());
            self.writer.publish(now);
        }
    }
}

impl Standing {
    pub(super) fn of(kinds: &[Kind]) -> Self {
        let not_yet = |kind: &Kind| (*kind, Known::NotYet, None);
        Self {
            kinds: kinds.iter().map(not_yet).collect(),
            pods_since: None,
            shown: false,
            said_large: false,
        }
    }

    /// What may be shown must be whole, or an address could seem to be one pod's alone. A kind that does
    /// not come is not waited for for ever.
    fn may_be_shown(&mut self) -> bool {
        let waited = |since: Instant| since.elapsed() >= WAIT_FOR_OTHERS;
        self.shown |= self.is_synced() || self.pods_since.is_some_and(waited);
        self.shown
    }

    fn is_synced(&self) -> bool {
        self.kinds
            .iter()
            .all(|(_, known, _)| *known != Known::NotYet)
    }

    fn state(&self) -> State {
        State {
            synced: self.is_synced(),
            behind_since: self.kinds.iter().filter_map(|(_, _, cut)| *cut).min(),
        }
    }

    /// Returns whether that is new.
    fn knows(&mut self, kind: Kind, what: Known) -> bool {
        if kind == Kind::Pods && what == Known::Listed {
            self.pods_since.get_or_insert_with(Instant::now);
        }
        let mut kinds = self.kinds.iter_mut();
        let Some((_, known, _)) = kinds.find(|(one, ..)| *one == kind) else {
            return false;
        };
        std::mem::replace(known, what) != what
    }

    /// Returns whether that is new.
    fn cut(&mut self, kind: Kind, since: Option<UnixNanos>) -> bool {
        let mut kinds = self.kinds.iter_mut();
        let Some((_, _, cut)) = kinds.find(|(one, ..)| *one == kind) else {
            return false;
        };
        let is_new = cut.is_none();
        *cut = cut.or(since);
        is_new && since.is_some()
    }

    /// Returns whether that is new.
    fn hears(&mut self, kind: Kind) -> bool {
        let mut kinds = self.kinds.iter_mut();
        let cut = kinds.find(|(one, ..)| *one == kind);
        cut.is_some_and(|(_, _, cut)| cut.take().is_some())
    }
}

/// Mirror pods belong to their node, which is no workload.
fn is_node(owner: &OwnerReference) -> bool {
    owner.kind == "Node" && owner.api_version == "v1"
}
