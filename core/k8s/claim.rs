//! Who had an address when: what the API server said, and what follows from how late it says it.
//!
//! An agent hears that a pod has an address after the pod has used it, and that a pod is gone when
//! another may have its address already. A claim therefore has three intervals:
//!
//! - in the **certain** one the pod had the address: from when the agent heard of it to a little before
//!   it heard that the pod ends (or to when it last heard anything, if it was cut off);
//! - in the **possible** one it can have had it: from when the kubelet took the pod up to when it was
//!   heard to be gone or to have come to rest;
//! - in the **believed** one it had it if nobody else can have: up to when it was heard that it ends, or
//!   to when its last container ran, because a pod that is being stopped may go on for its grace period,
//!   but its address can be another's before anything more is heard of either; and where the agent did
//!   not hear who had the address before, only from when its first container ran.

use std::sync::Arc;
use std::time::Duration;

use tapetum_model::UnixNanos;

use crate::Pod;
use crate::few::Few;

/// How late a watch that works may be. Longer costs nothing but where two pods claim one address.
const LATE: Duration = Duration::from_secs(5);
/// How much a node's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(1);
/// Time stamps of the API are cut to whole seconds.
const CUT_OFF: Duration = Duration::from_secs(1);
/// How long a pod whose object was taken away may run on: the usual grace period.
const LINGERS: Duration = Duration::from_secs(30);
const OPEN: UnixNanos = UnixNanos(u64::MAX);

/// When something was heard, and how long before that nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub at: UnixNanos,
    /// Until when all was known before: `at` as long as the watch is not cut off.
    pub fresh: UnixNanos,
}

/// Who had an address.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// This pod.
    Pod(&'a Arc<Pod>),
    /// One of several, and it cannot be said which.
    Several,
    /// No pod that is known.
    Nobody,
}

/// That a pod has an address, or a port of one.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) pod: Arc<Pod>,
    certain: [UnixNanos; 2],
    possible: [UnixNanos; 2],
    believed: [UnixNanos; 2],
}

/// How a pod stands when something is heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there to stay.
    Lives,
    /// It is being stopped; its containers may still run.
    Ends,
    /// None of its containers runs any more.
    Rests,
    /// Its object is gone; its containers may still run if it was taken away by force.
    Gone,
}

/// What an object says of a pod's time; by the clock of its node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) standing: Standing,
    /// When the kubelet took it up: it had no address before.
    pub(crate) since: Option<UnixNanos>,
    /// When its first container ran.
    pub(crate) started: Option<UnixNanos>,
    /// When its last container ended.
    pub(crate) finished: Option<UnixNanos>,
}

impl Life {
    /// Nothing but how it stands.
    pub(crate) fn bare(standing: Standing) -> Self {
        Self {
            standing,
            since: None,
            started: None,
            finished: None,
        }
    }
}

impl Standing {
    /// Whether it has no address any more, or will not for long.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Rests | Self::Gone)
    }
}

impl Moment {
    /// Heard by a watch that works.
    #[must_use]
    pub fn fresh(at: UnixNanos) -> Self {
        Self { at, fresh: at }
    }

    /// Heard after nothing was heard since `fresh`.
    #[must_use]
    pub fn after_a_cut(at: UnixNanos, fresh: UnixNanos) -> Self {
        Self {
            at,
            fresh: fresh.min(at),
        }
    }

    /// Until when nothing can have happened that is only heard of now.
    fn surely(self) -> UnixNanos {
        before(self.fresh.min(self.at), LATE)
    }
}

impl<'a> Holder<'a> {
    /// The pod, if it is one.
    #[must_use]
    pub fn pod(self) -> Option<&'a Arc<Pod>> {
        match self {
            Self::Pod(pod) => Some(pod),
            Self::Several | Self::Nobody => None,
        }
    }
}

impl Claim {
    /// A claim that is first heard of now.
    pub(crate) fn new(pod: Arc<Pod>, now: Moment, life: Life) -> Self {
        let earliest = life.since.map(|since| before(since, SKEW));
        let earliest = earliest.unwrap_or(now.surely()).min(now.at);
        let started = life.started.map(|started| started.plus(CUT_OFF + SKEW));
        // Who may have had it before was heard of, or was not.
        let believed = match life.since.is_some() && now.fresh == now.at {
            true => earliest,
            false => started.unwrap_or(now.at).min(now.at).max(earliest),
        };
        let mut claim = Self {
            pod,
            certain: [now.at, OPEN],
            possible: [earliest, OPEN],
            believed: [believed, OPEN],
        };
        claim.stands(life, now);
        claim
    }

    /// Whether it is this pod's, and past.
    pub(crate) fn is_over(&self, uid: &str) -> bool {
        &*self.pod.uid == uid && self.possible[1] != OPEN
    }

    /// The pod stands so now.
    pub(crate) fn stands(&mut self, life: Life, now: Moment) {
        if life.standing == Standing::Lives {
            return;
        }
        self.certain[1] = self.certain[1].min(now.surely());
        self.believed[1] = self.believed[1].min(now.fresh);
        match life.standing {
            Standing::Lives | Standing::Ends => {}
            Standing::Rests => self.possible[1] = self.possible[1].min(now.at),
            Standing::Gone => self.possible[1] = self.possible[1].min(now.at.plus(LINGERS)),
        }
        if let Some(finished) = life.finished {
            let proven = before(finished, SKEW).min(self.possible[1]);
            self.believed[1] = self.believed[1].max(proven);
        }
    }

    fn had(&self, at: UnixNanos) -> bool {
        within(self.certain, at)
    }

    fn can_have_had(&self, at: UnixNanos) -> bool {
        within(self.possible, at)
    }
}

/// Decides between claims.
#[inline]
pub(crate) fn holder(claims: &Few<Claim>, at: UnixNanos) -> Holder<'_> {
    if let Some(only) = claims.only() {
        return believed(only, at);
    }
    let mut certain = claims.iter().filter(|claim| claim.had(at));
    match (certain.next(), certain.next()) {
        (Some(one), None) => return Holder::Pod(&one.pod),
        (Some(_), Some(_)) => return Holder::Several,
        (None, _) => {}
    }
    let mut possible = claims.iter().filter(|claim| claim.can_have_had(at));
    match (possible.next(), possible.next()) {
        (Some(one), None) => believed(one, at),
        (Some(_), Some(_)) => Holder::Several,
        (None, _) => Holder::Nobody,
    }
}

#[inline]
fn believed(claim: &Claim, at: UnixNanos) -> Holder<'_> {
    match within(claim.believed, at) {
        true => Holder::Pod(&claim.pod),
        false => Holder::Nobody,
    }
}

#[inline]
fn within([from, to]: [UnixNanos; 2], at: UnixNanos) -> bool {
    from <= at && at <= to
}

fn before(at: UnixNanos, duration: Duration) -> UnixNanos {
    UnixNanos(at.0.saturating_sub(duration.as_nanos() as u64))
}
