//! Who is who in a Kubernetes cluster: one writer that follows the API server, many readers without a
//! lock.
//!
//! A reader takes one [`Snapshot`] a batch from its [`Index`] and asks it:
//!
//! | question | answered by |
//! |---|---|
//! | which pod has this UID (the one in a cgroup path, of a static pod too) | [`Snapshot::pod`] |
//! | which container has this id | [`Snapshot::container`] |
//! | which pod had this address then | [`Snapshot::pod_at`] |
//! | which pod of the host network had this port of a node then | [`Snapshot::host_pod_at`] |
//! | which Service is behind this virtual address and port | [`Snapshot::service`] |
//! | which Service is behind this port of every node | [`Snapshot::node_port`] |
//! | which one Service has this backend | [`Snapshot::backend`] |
//! | which node has this address, this name | [`Snapshot::node_at`], [`Snapshot::node`] |
//! | is this the API server | [`Snapshot::is_api_server`] |
//! | which cluster is it | [`Snapshot::cluster`] |
//!
//! What a pod, a container, a node is called is made once, when its object changes: [`Pod::entity`],
//! [`Container::entity`] and [`Node::entity`] are handed out as pointers. An object that changes in
//! what matters here gets new ones; [`Snapshot::version`] tells a reader that its own memory of
//! answers is old.
//!
//! Who wants an index of the cluster that is near holds a [`Watch`]: [`Watch::shared`] gives the one of
//! equal [`Settings`], or starts it; [`Watch::index`] is the reader's handle, [`Watch::trouble`] says what
//! is wrong at the moment, [`Watch::counted`] what it did. The last one that is dropped ends it.
//!
//! **A wrong name is worse than none.** Addresses are reused within seconds, and what the API server
//! says is late. So an address is held as claims, each with the time in which the pod certainly had it
//! and the wider one in which it can have had it (`claim`), and the answer is [`Holder::Several`]
//! where that does not decide. What is asked for twice at once (two Services with one backend, two
//! nodes with one address) has no answer either.
//!
//! A [`Writer`] takes objects as the API server sends them ([`object`]): the watch feeds it, and a test
//! can too:
//!
//! ```
//! use tapetum_k8s::{Moment, Naming, Owner, Writer};
//! use tapetum_model::UnixNanos;
//!
//! let (mut writer, index) = Writer::new(Naming::default());
//! let pod = serde_json::from_str(
//!     r#"{"metadata": {"name": "web-1", "namespace": "shop", "uid": "11111111-2222-3333-4444-555555555555"},
//!         "spec": {"nodeName": "node-1", "containers": [{"name": "web"}]},
//!         "status": {"podIPs": [{"ip": "10.1.0.7"}], "phase": "Running"}}"#,
//! )
//! .unwrap();
//! let now = Moment::fresh(UnixNanos(1_000_000_000_000));
//! writer.apply_pod(&pod, [Owner::new("apps/v1", "StatefulSet", "web")], now);
//! writer.publish(now);
//!
//! let snapshot = index.snapshot();
//! let web = snapshot.pod_at("10.1.0.7".parse().unwrap(), now.at).pod().unwrap();
//! assert_eq!(web.entity.name().unwrap().as_ref(), "web");
//! ```

mod claim;
mod counts;
mod describe;
mod facts;
mod few;
mod index;
mod intern;
mod key;
pub mod object;
mod shards;
mod snapshot;
mod stamp;
mod watch;
mod writer;

pub use claim::{Holder, Moment};
pub use counts::{Counted, Counts};
pub use facts::{Chosen, Cluster, Container, Naming, Node, Owner, Pod, Port, Transport};
pub use index::{Index, State};
pub use snapshot::Snapshot;
pub use watch::{Clock, Pace, Scope, Settings, Source, Watch, WatchError};
pub use writer::{Kind, Seen, Writer};
