//! Who controls a pod's controller: asked one by one, and only for what owns a pod.
//!
//! A cluster has ten ReplicaSets a Deployment, of which one has pods. So none is listed or watched:
//! the metadata of one is read when a pod names it, and held as long as a pod does. Where the API
//! server does not let a controller be read, the highest one that a readable object names is the
//! workload. No name is cut to guess another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{HashMap, HashSet};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use super::api::{Api, ApiError};
use super::pace::{Backoff, Pace, Random};
use crate::Owner;
use crate::object::{Bare, OwnerReference};

/// Requests at once.
const ASKS_AT_ONCE: usize = 8;
/// Controllers above each other: more is a circle.
const LEVELS_MAX: usize = 8;
/// Tries for one controller, about ten seconds.
const TRIES: u32 = 5;
/// Below this many chains none is forgotten.
const CHAINS_LEAST: usize = 1_024;
/// Kinds of which is known how they are read, or that they are not.
const KINDS_MAX: usize = 256;
/// How long a refusal is believed.
const REFUSED_FOR: Duration = Duration::from_secs(300);

pub(super) const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// Chains of controllers, known or asked for.
pub(super) struct Owners {
    reader: Arc<Reader>,
    chains: HashMap<String, Arc<[Owner]>>,
    forget_at: usize,
    asked: HashSet<String>,
    queue: VecDeque<Ask>,
    tasks: JoinSet<Chain>,
}

/// A chain that was asked for.
pub(super) struct Chain {
    /// Of the lowest controller.
    pub(super) uid: String,
    pub(super) owners: Arc<[Owner]>,
    /// Nobody above would answer in time.
    pub(super) is_cut: bool,
}

struct Ask {
    namespace: String,
    reference: OwnerReference,
}

/// Reads controllers.
struct Reader {
    api: Api,
    pace: Pace,
    random: Mutex<Random>,
    kinds: Mutex<HashMap<(String, String), Known>>,
    refused: Mutex<HashMap<(String, String, String), Instant>>,
}

/// How a kind is read.
#[derive(Clone)]
struct Known {
    /// Nothing of that kind can be read where there is no resource.
    resource: Option<Resource>,
    until: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Resource {
    plural: String,
    namespaced: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceList {
    resources: Vec<ListedResource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedResource {
    name: String,
    kind: String,
    namespaced: bool,
}

impl Owners {
    pub(super) fn new(api: Api, pace: Pace, random: Random) -> Self {
        Self {
            reader: Arc::new(Reader {
                api,
                pace,
                random: Mutex::new(random),
                kinds: Mutex::default(),
                refused: Mutex::default(),
            }),
            chains: HashMap::new(),
            forget_at: CHAINS_LEAST,
            asked: HashSet::new(),
            queue: VecDeque::new(),
            tasks: JoinSet::new(),
        }
    }

    /// The chain from a controller upwards, if it is known; else it is asked for.
    pub(super) fn of(&mut self, namespace: &str, direct: &OwnerReference) -> Option<Arc<[Owner]>> {
        if let Some(known) = self.chains.get(&direct.uid) {
            return Some(Arc::clone(known));
        }
        if self.asked.insert(direct.uid.clone()) {
            self.queue.push_back(Ask {
                namespace: namespace.to_owned(),
                reference: direct.clone(),
            });
            self.ask();
        }
        None
    }

    /// The next answer; never, where nothing is asked.
    pub(super) async fn next(&mut self) -> Chain {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(chain)) => {
                    self.asked.remove(&chain.uid);
                    if !chain.is_cut {
                        self.learn(&chain);
                    }
                    self.ask();
                    return chain;
                }
                // It cannot fail but by a bug, which the supervisor of the whole says.
                Some(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
                None => std::future::pending().await,
            }
        }
    }

    fn learn(&mut self, chain: &Chain) {
        if self.chains.len() >= self.forget_at {
            self.chains
                .retain(|_, owners| Arc::strong_count(owners) > 1);
            self.forget_at = CHAINS_LEAST.max(2 * self.chains.len());
        }
        self.chains
            .insert(chain.uid.clone(), Arc::clone(&chain.owners));
    }

    fn ask(&mut self) {
        while self.tasks.len() < ASKS_AT_ONCE
            && let Some(ask) = self.queue.pop_front()
        {
            let reader = Arc::clone(&self.reader);
            self.tasks.spawn(async move { reader.chain(ask).await });
        }
    }
}

impl Reader {
    async fn chain(&self, ask: Ask) -> Chain {
        let uid = ask.reference.uid.clone();
        let mut owners = vec![owner(&ask.reference)];
        let mut at = ask.reference;
        let mut is_cut = false;
        while owners.len() < LEVELS_MAX {
            match self.controller(&ask.namespace, &at).await {
                Ok(Some(above)) => {
                    owners.push(owner(&above));
                    at = above;
                }
                Ok(None) => break,
                Err(_) => {
                    is_cut = true;
                    break;
                }
            }
        }
        Chain {
            uid,
            owners: owners.into(),
            is_cut,
        }
    }

    /// Who controls a controller. An error: nobody could say in time.
    async fn controller(
        &self,
        namespace: &str,
        of: &OwnerReference,
    ) -> Result<Option<OwnerReference>, ApiError> {
        let random = lock(&self.random).fork();
        let mut backoff = Backoff::new(self.pace, random);
        loop {
            match self.read(namespace, of).await {
                Ok(above) => return Ok(above),
                Err(ApiError::Forbidden(_)) => {
                    self.refuse(namespace, of);
                    return Ok(None);
                }
                Err(ApiError::Missing) => return Ok(None),
                Err(error) if backoff.failures() >= TRIES => return Err(error),
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }

    async fn read(
        &self,
        namespace: &str,
        of: &OwnerReference,
    ) -> Result<Option<OwnerReference>, ApiError> {
        let plain = |text: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
            !text.is_empty() && text != "." && text != ".." && text.bytes().all(fits)
        };
        let group: Vec<&str> = of.api_version.split('/').collect();
        let is_plain = group.iter().all(|part| plain(part)) && group.len() <= 2;
        if !is_plain || !plain(&of.name) || self.is_refused(namespace, of) {
            return Ok(None);
        }
        let Some(resource) = self.resource(of).await? else {
            return Ok(None);
        };
        let root = root(&of.api_version);
        let within = match resource.namespaced {
            true => format!("/namespaces/{namespace}"),
            false => String::new(),
        };
        let path = format!("{root}{within}/{}/{}", resource.plural, of.name);
        // The API server answers from its memory; what is so new that it is not there, from its store.
        let bytes = match self
            .api
            .read(&format!("{path}?resourceVersion=0"), METADATA)
            .await
        {
            Err(ApiError::Missing) => self.api.read(&path, METADATA).await?,
            answer => answer?,
        };
        let bare: Bare =
            serde_json::from_slice(&bytes).map_err(|why| ApiError::Other(why.to_string()))?;
        // Another object of that name says nothing about this one.
        let is_it = bare.metadata.uid == of.uid;
        Ok(bare.metadata.controller().filter(|_| is_it).cloned())
    }

    /// How a kind is read: the usual ones are known, the others the API server describes.
    async fn resource(&self, of: &OwnerReference) -> Result<Option<Resource>, ApiError> {
        if let Some(plural) = usual(&of.api_version, &of.kind) {
            return Ok(Some(Resource {
                plural: plural.to_owned(),
                namespaced: true,
            }));
        }
        let key = (of.api_version.clone(), of.kind.clone());
        let now = Instant::now();
        let known = lock(&self.kinds).get(&key).cloned();
        let known = known.filter(|known| known.until.is_none_or(|until| now < until));
        if let Some(known) = known {
            return Ok(known.resource);
        }
        let resource = match self
            .api
            .read(&root(&of.api_version), "application/json")
            .await
        {
            Ok(bytes) => {
                let list: ResourceList = serde_json::from_slice(&bytes).unwrap_or_default();
                let mut listed = list.resources.into_iter();
                let found = listed.find(|one| one.kind == of.kind && !one.name.contains('/'));
                found.map(|one| Resource {
                    plural: one.name,
                    namespaced: one.namespaced,
                })
            }
            Err(ApiError::Forbidden(_) | ApiError::Missing) => None,
            Err(error) => return Err(error),
        };
        let known = Known {
            until: resource.is_none().then(|| now + REFUSED_FOR),
            resource: resource.clone(),
        };
        let mut kinds = lock(&self.kinds);
        if kinds.len() >= KINDS_MAX {
            kinds.clear();
        }
        kinds.insert(key, known);
        Ok(resource)
    }

    fn refuse(&self, namespace: &str, of: &OwnerReference) {
        let mut refused = lock(&self.refused);
        if refused.len() >= KINDS_MAX {
            refused.clear();
        }
        refused.insert(place(namespace, of), Instant::now() + REFUSED_FOR);
    }

    fn is_refused(&self, namespace: &str, of: &OwnerReference) -> bool {
        let refused = lock(&self.refused);
        let until = refused.get(&place(namespace, of));
        until.is_some_and(|until| Instant::now() < *until)
    }
}

fn place(namespace: &str, of: &OwnerReference) -> (String, String, String) {
    (
        namespace.to_owned(),
        of.api_version.clone(),
        of.kind.clone(),
    )
}

fn owner(reference: &OwnerReference) -> Owner {
    Owner::new(
        reference.api_version.as_str(),
        reference.kind.as_str(),
        reference.name.as_str(),
    )
}

fn root(api_version: &str) -> String {
    match api_version.contains('/') {
        true => format!("/apis/{api_version}"),
        false => format!("/api/{api_version}"),
    }
}

fn usual(api_version: &str, kind: &str) -> Option<&'static str> {
    Some(match (api_version, kind) {
        ("apps/v1", "ReplicaSet") => "replicasets",
        ("apps/v1", "Deployment") => "deployments",
        ("apps/v1", "StatefulSet") => "statefulsets",
        ("apps/v1", "DaemonSet") => "daemonsets",
        ("batch/v1", "Job") => "jobs",
        ("batch/v1", "CronJob") => "cronjobs",
        ("v1", "ReplicationController") => "replicationcontrollers",
        _ => return None,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
