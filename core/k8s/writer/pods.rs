//! Pods: their facts, their claims to addresses, and how long the dead are remembered.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tapetum_model::UnixNanos;

use super::{Writer, add, take};
use crate::claim::{Claim, Life, Moment, Standing};
use crate::facts::{Owner, Pod};
use crate::few::Few;
use crate::key::{Door, Id, Ip};
use crate::object;
use crate::shards::Shards;
use crate::stamp;

/// How long a dead pod's names stay, for what is still in flight: a span of 60 s, a full queue, and
/// some more.
const DEAD_FOR: Duration = Duration::from_secs(180);
/// How many dead pods, and addresses that pods had, are remembered at most.
const DEAD_MOST: usize = 4_096;

/// What the writer knows of a pod.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) pod: Arc<Pod>,
    standing: Standing,
}

/// What is to be forgotten.
#[derive(Debug)]
pub(super) enum Gone {
    Pod(Id),
    Address(Ip, Arc<str>),
    HostPort(Door, Arc<str>),
}

impl Writer {
    /// A pod is, or changed. `owners`: its controllers, the nearest first.
    pub fn apply_pod(
        &mut self,
        object: &object::Pod,
        owners: impl Into<Arc<[Owner]>>,
        now: Moment,
    ) {
        let Some(id) = Id::parse(&object.metadata.uid) else {
            return;
        };
        let known = self.pods.get(&id);
        let standing = standing(object);
        if known.is_none() && is_of_the_past(object, standing, now.at) {
            return;
        }
        let former = known.map(|known| Arc::clone(&known.pod));
        let before = known.map_or(Standing::Lives, |known| known.standing);
        let zone = self.zone(&object.spec.node_name);
        let owners = owners.into();
        let pod = self.describer.pod(object, owners, zone, former.as_deref());
        if former.as_deref() == Some(&pod) && before == standing {
            return;
        }
        self.changed = true;
        let pod = Arc::new(pod);
        let since = object.status.start_time.as_deref();
        let since = since.or(object.metadata.creation_timestamp.as_deref());
        let since = since.and_then(stamp::parse);
        self.place(id, &pod, former.as_deref());
        let life = Life {
            since,
            started: started(object),
            finished: finished(object).filter(|_| standing.is_over()),
            standing,
        };
        self.claim(&pod, former.as_deref(), life, now);
        if standing.is_over() && !before.is_over() {
            self.gone.push_back((now.at, Gone::Pod(id)));
        }
        self.pods.insert(id, Known { pod, standing });
    }

    /// A pod's controllers, as they were last given.
    #[must_use]
    pub fn owners(&self, uid: &str) -> Option<&Arc<[Owner]>> {
        Some(&self.pods.get(&Id::parse(uid)?)?.pod.owners)
    }

    pub(super) fn end_pod(&mut self, id: Id, now: Moment) {
        let Some(known) = self.pods.get_mut(&id) else {
            return;
        };
        if known.standing.is_over() {
            return;
        }
        known.standing = Standing::Gone;
        let pod = Arc::clone(&known.pod);
        self.changed = true;
        let life = Life::bare(Standing::Gone);
        self.claim(&pod, Some(&pod), life, now);
        self.gone.push_back((now.at, Gone::Pod(id)));
    }

    /// Names pods anew: their node or the cluster changed.
    pub(super) fn name_again(&mut self, which: impl Fn(&Pod) -> bool) {
        let meant = self.pods.iter().filter(|(_, known)| which(&known.pod));
        let meant: Vec<Id> = meant.map(|(id, _)| *id).collect();
        for id in meant {
            let former = Arc::clone(&self.pods[&id].pod);
            let mut pod = (*former).clone();
            pod.zone = self.zone(pod.node.as_deref().unwrap_or_default());
            self.describer.name(&mut pod, Some(&former));
            if pod == *former {
                continue;
            }
            let pod = Arc::new(pod);
            self.changed = true;
            self.place(id, &pod, Some(&former));
            for ip in addresses(&pod) {
                hand_over(&mut self.next.addresses, &ip, &pod);
            }
            for door in host_ports(&pod) {
                hand_over(&mut self.next.host_ports, &door, &pod);
            }
            if let Some(known) = self.pods.get_mut(&id) {
                known.pod = pod;
            }
        }
    }

    /// Forgets what is dead for long enough, or too much.
    pub(super) fn forget(&mut self, now: UnixNanos) {
        while let Some((since, _)) = self.gone.front() {
            if now.since(*since) < DEAD_FOR && self.gone.len() <= DEAD_MOST {
                return;
            }
            let Some((_, gone)) = self.gone.pop_front() else {
                return;
            };
            self.changed = true;
            match gone {
                Gone::Pod(id) => self.forget_pod(id),
                Gone::Address(ip, uid) => {
                    take(&mut self.next.addresses, &ip, |claim| claim.is_over(&uid));
                }
                Gone::HostPort(door, uid) => {
                    take(&mut self.next.host_ports, &door, |claim| {
                        claim.is_over(&uid)
                    });
                }
            }
        }
    }

    fn forget_pod(&mut self, id: Id) {
        let Some(Known { pod, .. }) = self.pods.remove(&id) else {
            return;
        };
        self.unplace(id, &pod);
        for ip in addresses(&pod) {
            take(&mut self.next.addresses, &ip, |claim| {
                claim.is_over(&pod.uid)
            });
        }
        for door in host_ports(&pod) {
            take(&mut self.next.host_ports, &door, |claim| {
                claim.is_over(&pod.uid)
            });
        }
    }

    fn zone(&self, node: &str) -> Option<Arc<str>> {
        self.next.nodes.get(node)?.zone.clone()
    }

    /// Makes a pod found by its ids.
    fn place(&mut self, id: Id, pod: &Arc<Pod>, former: Option<&Pod>) {
        if let Some(former) = former {
            self.unplace(id, former);
        }
        for id in std::iter::once(id).chain(static_id(pod)) {
            self.next.pods.insert(id, Arc::clone(pod));
        }
        // A container that runs now is meant where one of the past has the same id.
        for (at, container) in pod.containers.iter().enumerate() {
            for id in [&container.former_id, &container.id].into_iter().flatten() {
                if let Some(id) = Id::parse(id) {
                    self.next.containers.insert(id, (Arc::clone(pod), at));
                }
            }
        }
    }

    fn unplace(&mut self, id: Id, pod: &Pod) {
        for id in std::iter::once(id).chain(static_id(pod)) {
            if self
                .next
                .pods
                .get(&id)
                .is_some_and(|known| known.uid == pod.uid)
            {
                self.next.pods.remove(&id);
            }
        }
        for container in &pod.containers {
            for id in [&container.former_id, &container.id].into_iter().flatten() {
                if let Some(id) = Id::parse(id) {
                    self.next.containers.remove(&id);
                }
            }
        }
    }

    fn claim(&mut self, pod: &Arc<Pod>, former: Option<&Pod>, mut life: Life, now: Moment) {
        // Who had another address before cannot have had this one since it was started.
        let moved = former.is_some_and(|former| !former.ips.is_empty() && former.ips != pod.ips);
        if moved {
            life = Life::bare(life.standing);
        }
        let have: Vec<Ip> = addresses(pod).collect();
        for ip in &have {
            assert_claim(&mut self.next.addresses, ip, pod, life, now);
        }
        let open: Vec<Door> = host_ports(pod).collect();
        for door in &open {
            assert_claim(&mut self.next.host_ports, door, pod, life, now);
        }
        let Some(former) = former else { return };
        for ip in addresses(former).filter(|ip| !have.contains(ip)) {
            end_claim(&mut self.next.addresses, &ip, pod, now);
            self.gone
                .push_back((now.at, Gone::Address(ip, Arc::clone(&pod.uid))));
        }
        for door in host_ports(former).filter(|door| !open.contains(door)) {
            end_claim(&mut self.next.host_ports, &door, pod, now);
            self.gone
                .push_back((now.at, Gone::HostPort(door, Arc::clone(&pod.uid))));
        }
    }
}

fn standing(object: &object::Pod) -> Standing {
    if matches!(object.status.phase.as_str(), "Succeeded" | "Failed") {
        return Standing::Rests;
    }
    if object.metadata.deletion_timestamp.is_none() {
        return Standing::Lives;
    }
    let mut containers = object.status.containers().peekable();
    let rests = containers.peek().is_some()
        && containers.all(|container| container.state.terminated.is_some());
    match rests {
        true => Standing::Rests,
        false => Standing::Ends,
    }
}

/// Whether a pod ended so long ago that nothing of it can be in flight: finished Jobs stay in the API
/// server for ever.
fn is_of_the_past(object: &object::Pod, standing: Standing, now: UnixNanos) -> bool {
    let last = finished(object);
    standing.is_over() && last.is_none_or(|last| now.since(last) > DEAD_FOR)
}

/// When the first of its containers ran, as far as the object still says.
fn started(object: &object::Pod) -> Option<UnixNanos> {
    let states = object.status.containers();
    let states = states.flat_map(|container| [&container.state, &container.last_state]);
    let stamps = states.filter_map(|state| {
        let running = state
            .running
            .as_ref()
            .and_then(|one| one.started_at.as_deref());
        let terminated = state.terminated.as_ref();
        running.or_else(|| terminated?.started_at.as_deref())
    });
    stamps.filter_map(stamp::parse).min()
}

/// When the last of its containers ended that did.
fn finished(object: &object::Pod) -> Option<UnixNanos> {
    let ended = object.status.containers().filter_map(|container| {
        let terminated = container.state.terminated.as_ref()?;
        stamp::parse(terminated.finished_at.as_deref()?)
    });
    ended.max()
}

fn static_id(pod: &Pod) -> Option<Id> {
    Id::parse(pod.static_uid.as_ref()?)
}

/// The addresses that are the pod's own.
fn addresses(pod: &Pod) -> impl Iterator<Item = Ip> {
    let own = pod.ips.iter().filter(|_| !pod.host_network);
    own.map(|ip| Ip::of(*ip))
}

/// The ports that it has at its node.
fn host_ports(pod: &Pod) -> impl Iterator<Item = Door> {
    let ports = pod.containers.iter().flat_map(|container| &container.ports);
    ports.flat_map(|port| {
        let ips = pod.host_ips.iter().filter(|_| port.on_host.is_some());
        ips.map(|ip| {
            let number = port.on_host.unwrap_or_default();
            Door::new(Ip::of(*ip), number, port.transport)
        })
    })
}

fn assert_claim<K: Hash + Eq + Clone>(
    claims: &mut Shards<K, Few<Claim>>,
    key: &K,
    pod: &Arc<Pod>,
    life: Life,
    now: Moment,
) {
    let known = claims.get_mut(key).and_then(|few| {
        let mut of_pod = few.iter_mut();
        of_pod.find(|claim| claim.pod.uid == pod.uid)
    });
    if let Some(claim) = known {
        if claim.is_over(&pod.uid) && life.standing == Standing::Lives {
            // It had the address, lost it, and has it again.
            *claim = Claim::new(Arc::clone(pod), now, Life::bare(Standing::Lives));
        }
        claim.pod = Arc::clone(pod);
        claim.stands(life, now);
        return;
    }
    add(claims, key.clone(), Claim::new(Arc::clone(pod), now, life));
}

fn end_claim<K: Hash + Eq + Clone>(
    claims: &mut Shards<K, Few<Claim>>,
    key: &K,
    pod: &Arc<Pod>,
    now: Moment,
) {
    for claim in claims.get_mut(key).into_iter().flat_map(Few::iter_mut) {
        if claim.pod.uid == pod.uid {
            claim.pod = Arc::clone(pod);
            claim.stands(Life::bare(Standing::Rests), now);
        }
    }
}

/// The same pod under a new description.
fn hand_over<K: Hash + Eq + Clone>(claims: &mut Shards<K, Few<Claim>>, key: &K, pod: &Arc<Pod>) {
    for claim in claims.get_mut(key).into_iter().flat_map(Few::iter_mut) {
        if claim.pod.uid == pod.uid {
            claim.pod = Arc::clone(pod);
        }
    }
}
