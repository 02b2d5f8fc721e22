//! What a series says of an end: which attributes of an entity make series, and the cache that
//! finds them by pointer, so that a row costs no allocation and no string is looked at twice.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};
use tapetum_model::{Attr, End, Entity, Service};
use tapetum_otlp::names::OTHER;

/// The attributes that tell the ends of series apart: workloads, never addresses.
const WORKLOAD: &[Attr] = &[
    Attr::ServiceName,
    Attr::K8sNamespaceName,
    Attr::K8sWorkloadName,
    Attr::K8sWorkloadKind,
    Attr::Zone,
];

/// The same with `pods = true`.
const POD: &[Attr] = &[
    Attr::ServiceName,
    Attr::K8sNamespaceName,
    Attr::K8sPodName,
    Attr::K8sNodeName,
    Attr::K8sWorkloadName,
    Attr::K8sWorkloadKind,
    Attr::Zone,
];

/// What a series says of one end. There is one of each content, so equal means the same pointer.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EndName(pub(super) Box<[(Attr, Arc<str>)]>);

/// Every end that is known, by the pointers that rows carry.
pub(super) struct Names {
    kept: &'static [Attr],
    known: Vec<Known>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    names: HashSet<Arc<EndName>>,
    known_max: usize,
    other: Arc<EndName>,
}

/// An end as rows carry it (pinned, so that its address means nobody else) and as series say it.
pub(super) struct Known {
    entity: Option<Arc<Entity>>,
    service: Option<Arc<Service>>,
    pointers: (usize, usize),
    /// As a source.
    pub(super) source: Arc<EndName>,
    /// As a destination: with the Service that was asked for.
    pub(super) destination: Arc<EndName>,
}

impl Names {
    pub(super) fn new(pods: bool, known_max: usize) -> Self {
        let other = [
            Attr::ServiceName,
            Attr::K8sNamespaceName,
            Attr::K8sWorkloadName,
        ];
        Self {
            kept: if pods { POD } else { WORKLOAD },
            known: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            names: HashSet::new(),
            known_max: known_max.max(2),
            other: Arc::new(EndName(
                other
                    .map(|attr| (attr, Arc::from(OTHER)))
                    .into_iter()
                    .collect(),
            )),
        }
    }

    /// The end of the series that everything beyond the budget goes to.
    pub(super) fn other(&self) -> &Arc<EndName> {
        &self.other
    }

    pub(super) fn known(&self, at: usize) -> &Known {
        &self.known[at]
    }

    /// Makes sure that the two ends of a row fit. `true`: what [`Names::find`] gave before is void.
    pub(super) fn make_room(&mut self) -> bool {
        if self.known.len() + 2 <= self.known_max {
            return false;
        }
        self.forget();
        if self.known.len() + 2 > self.known_max {
            self.known.clear();
            self.index.clear();
            self.names.retain(|name| Arc::strong_count(name) > 1);
        }
        true
    }

    /// Where an end is, for [`Names::known`].
    pub(super) fn find(&mut self, end: &End) -> usize {
        let pointers = end.pointers();
        let hash = self.hasher.hash_one(pointers);
        let same = |at: &u32| self.known[*at as usize].pointers == pointers;
        if let Some(at) = self.index.find(hash, same) {
            return *at as usize;
        }
        let known = self.describe(end);
        self.known.push(known);
        let at = self.known.len() - 1;
        self.enter(at);
        at
    }

    /// Forgets the ends that no row will bring again and the names that no series uses.
    pub(super) fn forget(&mut self) {
        self.known.retain(|known| {
            let used = |count: Option<usize>| count.is_none_or(|count| count > 1);
            used(known.entity.as_ref().map(Arc::strong_count))
                && used(known.service.as_ref().map(Arc::strong_count))
        });
        self.index.clear();
        for at in 0..self.known.len() {
            self.enter(at);
        }
        self.names.retain(|name| Arc::strong_count(name) > 1);
    }

    fn enter(&mut self, at: usize) {
        let Self {
            known,
            index,
            hasher,
            ..
        } = self;
        let hash_of = |at: usize| hasher.hash_one(known[at].pointers);
        index.insert_unique(hash_of(at), at as u32, |at| hash_of(*at as usize));
    }

    fn describe(&mut self, end: &End) -> Known {
        let plain: Vec<(Attr, Arc<str>)> = end
            .entity
            .iter()
            .flat_map(|entity| entity.attributes())
            .filter(|(attr, _)| self.kept.contains(attr))
            .cloned()
            .collect();
        let mut asked = plain.clone();
        if let Some(service) = &end.service {
            asked.push((Attr::K8sServiceName, Arc::clone(&service.name)));
            if plain
                .iter()
                .all(|(attr, _)| *attr != Attr::K8sNamespaceName)
            {
                asked.push((Attr::K8sNamespaceName, Arc::clone(&service.namespace)));
            }
        }
        Known {
            entity: end.entity.clone(),
            service: end.service.clone(),
            pointers: end.pointers(),
            source: self.intern(plain),
            destination: self.intern(asked),
        }
    }

    fn intern(&mut self, attributes: Vec<(Attr, Arc<str>)>) -> Arc<EndName> {
        let name = EndName(attributes.into_boxed_slice());
        Arc::clone(
            self.names
                .get_or_insert_with(&name, |_| Arc::new(EndName(name.0.clone()))),
        )
    }
}
