//! The objects of the scripted API server, and their history.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

/// Events that a resource remembers: a longer history is forgotten as a real one is.
const HISTORY_MAX: usize = 8_192;

/// All objects.
#[derive(Debug, Default)]
pub(super) struct Store {
    version: u64,
    /// What is older has been forgotten.
    forgotten: u64,
    resources: HashMap<String, Resource>,
}

#[derive(Debug, Default)]
struct Resource {
    /// By namespace and name.
    objects: BTreeMap<(String, String), Arc<Stored>>,
    history: VecDeque<Event>,
    forgotten: u64,
}

/// An object.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) json: String,
    namespace: String,
    name: String,
    node: String,
    kind: String,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) object: Arc<Stored>,
}

/// A page of a list.
pub(super) struct Page {
    pub(super) version: u64,
    pub(super) objects: Vec<Arc<Stored>>,
    /// Where the next one begins.
    pub(super) next: Option<(String, String)>,
}

/// The history was asked for from before it begins.
#[derive(Debug)]
pub(super) struct Forgotten;

impl Store {
    pub(super) fn put(&mut self, resource: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let stored = Arc::new(Stored::of(&object));
        let key = (stored.namespace.clone(), stored.name.clone());
        let of = self.resources.entry(resource.to_owned()).or_default();
        let known = of.objects.insert(key, Arc::clone(&stored));
        let kind = match known {
            Some(_) => "MODIFIED",
            None => "ADDED",
        };
        of.happens(self.version, kind, stored);
    }

    pub(super) fn delete(&mut self, resource: &str, namespace: &str, name: &str) {
        let Some(of) = self.resources.get_mut(resource) else {
            return;
        };
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(stored) = of.objects.remove(&key) {
            self.version += 1;
            let mut object: Value = serde_json::from_str(&stored.json).expect("what was put");
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            of.happens(self.version, "DELETED", Arc::new(Stored::of(&object)));
        }
    }

    pub(super) fn forget_history(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        for of in self.resources.values_mut() {
            let last = of.history.back();
            of.forgotten = last.map_or(of.forgotten, |event| event.version);
            of.history.clear();
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// An object, found by its path: `/apis/apps/v1/namespaces/shop/replicasets/web-1`.
    pub(super) fn read(&self, path: &str) -> Option<&Arc<Stored>> {
        let (parent, name) = path.rsplit_once('/')?;
        let (resource, namespace) = match parent.split_once("/namespaces/") {
            Some((root, within)) => {
                let (namespace, plural) = within.split_once('/')?;
                (format!("{root}/{plural}"), namespace)
            }
            None => (parent.to_owned(), ""),
        };
        let of = self.resources.get(&resource)?;
        of.objects.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn page(
        &self,
        resource: &str,
        after: Option<(String, String)>,
        limit: usize,
        selected: impl Fn(&Stored) -> bool,
    ) -> Page {
        let empty = BTreeMap::new();
        let of = self.resources.get(resource);
        let objects = of.map_or(&empty, |of| &of.objects);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut page = Page {
            version: self.version,
            objects: Vec::new(),
            next: None,
        };
        let mut last = None;
        for (key, object) in objects.range((from, Bound::Unbounded)) {
            if page.objects.len() == limit {
                page.next = last;
                break;
            }
            if selected(object) {
                page.objects.push(Arc::clone(object));
                last = Some(key.clone());
            }
        }
        page
    }

    /// The resources of a group and version: `/apis/apps/v1`.
    pub(super) fn discover(&self, root: &str) -> Value {
        let mut listed = Vec::new();
        for (resource, of) in &self.resources {
            let plural = resource.strip_prefix(root);
            let plural = plural.and_then(|rest| rest.strip_prefix('/'));
            if let (Some(plural), Some(any)) = (plural, of.objects.values().next()) {
                listed.push(json!({
                    "name": plural, "kind": any.kind, "namespaced": !any.namespace.is_empty(),
                }));
            }
        }
        json!({"kind": "APIResourceList", "resources": listed})
    }

    /// Whether a watch cannot begin at a version.
    pub(super) fn has_forgotten(&self, version: u64) -> bool {
        version < self.forgotten
    }

    /// What happened after a version.
    pub(super) fn since(
        &self,
        resource: &str,
        version: u64,
        most: usize,
    ) -> Result<Vec<Event>, Forgotten> {
        let Some(of) = self.resources.get(resource) else {
            return Ok(Vec::new());
        };
        if version < of.forgotten {
            return Err(Forgotten);
        }
        let from = of.history.partition_point(|event| event.version <= version);
        Ok(of.history.range(from..).take(most).cloned().collect())
    }
}

impl Resource {
    fn happens(&mut self, version: u64, kind: &'static str, object: Arc<Stored>) {
        if self.history.len() == HISTORY_MAX {
            let oldest = self.history.pop_front();
            self.forgotten = oldest.map_or(0, |event| event.version);
        }
        self.history.push_back(Event {
            version,
            kind,
            object,
        });
    }
}

impl Stored {
    fn of(object: &Value) -> Self {
        let text = |path: &str| {
            let value = object.pointer(path).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Self {
            json: object.to_string(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            node: text("/spec/nodeName"),
            kind: text("/kind"),
        }
    }

    /// Whether a field selector takes it; one that is not known takes nothing.
    pub(super) fn is_selected(&self, selector: &str) -> bool {
        match selector.split_once('=') {
            None => selector.is_empty(),
            Some(("spec.nodeName", node)) => self.node == node,
            Some(("metadata.name", name)) => self.name == name,
            Some(_) => false,
        }
    }

    /// Its metadata alone.
    pub(super) fn bare(&self) -> String {
        let object: Value = serde_json::from_str(&self.json).expect("what was put");
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": object["metadata"],
        })
        .to_string()
    }
}
