//! The watch against a real API server, with the rights that the chart gives the agent: they are enough,
//! and none of them is too much.

mod cluster;

use std::time::Duration;

use serde_json::{Value, json};
use tapetum_k8s::{Kind, Transport, Watch};
use tapetum_model::Attr;

use self::cluster::Cluster;

/// What taking a right away costs.
#[derive(Clone, Copy, Debug)]
enum Cost {
    /// A kind is not known, and the trouble says so.
    Kind(Kind),
    /// The workload is the lower controller.
    Workload,
    /// The cluster has no UID.
    Uid,
}

/// The chart's rights: group, resource, verb.
const RIGHTS: &[(&str, &str, &str, Cost)] = &[
    ("", "pods", "list", Cost::Kind(Kind::Pods)),
    ("", "pods", "watch", Cost::Kind(Kind::Pods)),
    ("", "nodes", "list", Cost::Kind(Kind::Nodes)),
    ("", "nodes", "watch", Cost::Kind(Kind::Nodes)),
    ("", "services", "list", Cost::Kind(Kind::Services)),
    ("", "services", "watch", Cost::Kind(Kind::Services)),
    (
        "discovery.k8s.io",
        "endpointslices",
        "list",
        Cost::Kind(Kind::EndpointSlices),
    ),
    (
        "discovery.k8s.io",
        "endpointslices",
        "watch",
        Cost::Kind(Kind::EndpointSlices),
    ),
    ("apps", "replicasets", "get", Cost::Workload),
    ("batch", "jobs", "get", Cost::Workload),
    ("", "namespaces", "get", Cost::Uid),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_charts_rights_are_enough_and_none_is_too_much() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let shop = Shop::open(&cluster);
    cluster.apply_chart();
    let watch = cluster.watch();
    shop.is_named(&watch).await;
    assert_eq!(watch.trouble(), None);
    drop(watch);
    for (group, resource, verb, cost) in RIGHTS {
        cluster.grant(RIGHTS.iter().filter_map(|(one, of, right, _)| {
            let taken = (one, of, right) == (group, resource, verb);
            (!taken).then_some((*one, *of, *right))
        }));
        let watch = cluster.watch();
        shop.costs(&watch, *cost, &format!("{verb} {resource}"))
            .await;
    }
    assert_eq!(
        cluster.rights_of_the_chart(),
        RIGHTS.len(),
        "the chart gives others"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_api_server_is_away_is_heard_afterwards() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let shop = Shop::open(&cluster);
    cluster.apply_chart();
    let watch = cluster.watch();
    shop.is_named(&watch).await;
    cluster.stop();
    cluster::until("it is known to be away", || watch.trouble().is_some()).await;
    let index = watch.index();
    assert!(
        index.snapshot().pod(&shop.pods[0]).is_some(),
        "its names stay"
    );
    cluster.start_again();
    let late = cluster.pod("late", None, "10.1.0.99");
    cluster::until("the new pod has its name", || {
        index.snapshot().pod(&late).is_some()
    })
    .await;
    cluster::until("there is no trouble any more", || watch.trouble().is_none()).await;
}

/// A Deployment's pod behind a Service, and a CronJob's.
struct Shop {
    /// UIDs.
    pods: [String; 2],
    workloads: [[&'static str; 2]; 2],
}

impl Shop {
    fn open(cluster: &Cluster) -> Self {
        cluster.create(&json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}},
        }));
        let template = |name: &str| {
            json!({
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "none"}], "restartPolicy": "Always"},
            })
        };
        let selector = json!({"matchLabels": {"app": "web"}});
        let web = cluster.create(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": selector, "template": template("web")},
        }));
        let set = cluster.create(&json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-5d9c", "ownerReferences": [controller(&web)]},
            "spec": {"selector": selector, "template": template("web")},
        }));
        let mut job = template("nightly");
        job["spec"]["restartPolicy"] = json!("Never");
        let nightly = cluster.create(&json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": job}}},
        }));
        let run = cluster.create(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "nightly-29", "ownerReferences": [controller(&nightly)]},
            "spec": {"template": job},
        }));
        cluster.create(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"clusterIP": "10.99.0.80", "ports": [{"port": 80, "targetPort": 8080}]},
        }));
        let pods = [
            cluster.pod("web-5d9c-x", Some(controller(&set)), "10.1.0.1"),
            cluster.pod("nightly-29-y", Some(controller(&run)), "10.1.0.2"),
        ];
        cluster.create(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "uid": pods[0]}}],
        }));
        Self {
            pods,
            workloads: [
                ["Deployment/web", "ReplicaSet/web-5d9c"],
                ["CronJob/nightly", "Job/nightly-29"],
            ],
        }
    }

    async fn is_named(&self, watch: &Watch) {
        let index = watch.index();
        cluster::until("the whole shop has its names", || {
            let snapshot = index.snapshot();
            let service =
                snapshot.service("10.99.0.80:80".parse().expect("an address"), Transport::Tcp);
            let backend = snapshot.backend(
                "10.1.0.1:8080".parse().expect("an address"),
                Transport::Tcp,
                None,
            );
            let pod = snapshot.pod(&self.pods[0]);
            let zone = pod.and_then(|pod| pod.entity.attribute(&Attr::Zone).cloned());
            (0..2).all(|n| self.workload(watch, n).as_deref() == Some(self.workloads[n][0]))
                && service.is_some_and(|service| &*service.name == "web")
                && backend.is_some_and(|service| &*service.name == "web")
                && zone.as_deref() == Some("zone-a")
                && snapshot.cluster().uid.is_some()
                && snapshot.state().synced
        })
        .await;
    }

    async fn costs(&self, watch: &Watch, cost: Cost, right: &str) {
        let index = watch.index();
        match cost {
            Cost::Kind(kind) => {
                cluster::until(&format!("without {right} there is trouble"), || {
                    watch
                        .trouble()
                        .is_some_and(|trouble| trouble.contains(kind.name()))
                })
                .await;
            }
            Cost::Workload => {
                cluster::until(&format!("without {right} there are lower names"), || {
                    (0..2).any(|n| self.workload(watch, n).as_deref() == Some(self.workloads[n][1]))
                })
                .await;
            }
            Cost::Uid => {
                cluster::until("all is read but that", || {
                    let snapshot = index.snapshot();
                    snapshot.state().synced && watch.counted().failures > 0
                })
                .await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert_eq!(index.snapshot().cluster().uid, None, "without {right}");
            }
        }
    }

    fn workload(&self, watch: &Watch, n: usize) -> Option<String> {
        let snapshot = watch.index().snapshot();
        let owner = snapshot.pod(&self.pods[n])?.workload()?;
        Some(format!("{}/{}", owner.kind, owner.name))
    }
}

fn controller(object: &Value) -> Value {
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "controller": true,
        "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
    })
}
