//! Workloads: up to the highest controller that can be read, asked one by one.

use serde_json::{Value, json};
use tapetum_model::Attr;
use tapetum_testkit::ApiServer;

use crate::world::{PODS, REPLICASETS, World, controller, object, owned, pod, until};

/// A ReplicaSet, and a reference to it.
fn replicaset(server: &ApiServer, name: &str, n: u32, above: Option<Value>) -> Value {
    server.put(REPLICASETS, object("ReplicaSet", name, n, above));
    controller("apps/v1", "ReplicaSet", name, n)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_workload_is_found() {
    let server = ApiServer::start();
    let deployment = controller("apps/v1", "Deployment", "web", 801);
    let web = replicaset(&server, "web-5d9c", 101, Some(deployment));
    let rollout = controller("argoproj.io/v1alpha1", "Rollout", "canary", 802);
    let canary = replicaset(&server, "canary-77", 102, Some(rollout));
    let cronjob = controller("batch/v1", "CronJob", "nightly", 803);
    server.put(
        "/apis/batch/v1/jobs",
        object("Job", "nightly-29", 103, Some(cronjob)),
    );
    let fleet = controller("example.io/v1", "Fleet", "ships", 804);
    server.put(
        "/apis/example.io/v1/squads",
        object("Squad", "red", 104, Some(fleet)),
    );
    for (n, owner) in [
        (1, web),
        (2, canary),
        (3, controller("batch/v1", "Job", "nightly-29", 103)),
        (4, controller("example.io/v1", "Squad", "red", 104)),
        (5, controller("apps/v1", "DaemonSet", "agent", 105)),
        (6, controller("unknown.io/v1", "Thing", "it", 106)),
        (7, controller("v1", "Node", "node-1", 107)),
    ] {
        server.put(PODS, owned(n, owner));
    }
    server.put(PODS, pod(8));
    let world = World::of(server);
    for (n, expected) in [
        (1, Some("Deployment/web")),
        (2, Some("Rollout/canary")),
        (3, Some("CronJob/nightly")),
        (4, Some("Fleet/ships")),
        (5, Some("DaemonSet/agent")),
        (6, Some("Thing/it")),
        (7, None),
        (8, None),
    ] {
        until("it has its name", || world.pod(n).is_some()).await;
        assert_eq!(world.workload(n).as_deref(), expected, "pod-{n}");
    }
    let job = world.pod(3).expect("it was seen");
    let level = |attr| job.entity.attribute(&attr).map(|name| name.to_string());
    assert_eq!(level(Attr::K8sJobName).as_deref(), Some("nightly-29"));
    assert_eq!(level(Attr::K8sCronJobName).as_deref(), Some("nightly"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replicaset_is_read_once_and_none_is_listed() {
    let server = ApiServer::start();
    let deployment = controller("apps/v1", "Deployment", "web", 801);
    let web = replicaset(&server, "web-5d9c", 101, Some(deployment.clone()));
    for n in 0..50 {
        // Old revisions, which have no pods.
        replicaset(
            &server,
            &format!("web-old-{n}"),
            200 + n,
            Some(deployment.clone()),
        );
        server.put(PODS, owned(n, web.clone()));
    }
    let world = World::of(server);
    until("all have their names", || {
        (0..50).all(|n| world.pod(n).is_some())
    })
    .await;
    world.server.put(PODS, owned(60, web));
    until("another has its name", || world.pod(60).is_some()).await;
    let asked = world.server.requests();
    let of_replicasets = asked.iter().filter(|path| path.contains("replicasets"));
    assert_eq!(of_replicasets.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_ends_the_chain_there() {
    let server = ApiServer::start();
    let deployment = controller("apps/v1", "Deployment", "web", 801);
    let web = replicaset(&server, "web-5d9c", 101, Some(deployment));
    let api = replicaset(&server, "api-1", 102, None);
    server.refuse("/apis/apps/v1/namespaces/shop/replicasets", 403);
    server.put(PODS, owned(1, web.clone()));
    server.put(PODS, owned(2, api));
    let world = World::of(server);
    until("both have names", || {
        world.pod(1).is_some() && world.pod(2).is_some()
    })
    .await;
    assert_eq!(world.workload(1).as_deref(), Some("ReplicaSet/web-5d9c"));
    let asked = || {
        let requests = world.server.requests();
        requests
            .iter()
            .filter(|path| path.contains("replicasets"))
            .count()
    };
    let refused = asked();
    world.server.put(
        PODS,
        owned(3, controller("apps/v1", "ReplicaSet", "web-6", 103)),
    );
    until("the third has a name", || world.pod(3).is_some()).await;
    assert_eq!(asked(), refused, "a refusal is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_the_same_name_is_another() {
    let server = ApiServer::start();
    let deployment = controller("apps/v1", "Deployment", "web", 801);
    replicaset(&server, "web-1", 999, Some(deployment));
    server.put(
        PODS,
        owned(1, controller("apps/v1", "ReplicaSet", "web-1", 101)),
    );
    server.put(
        PODS,
        owned(2, controller("apps/v1", "ReplicaSet", "../../secrets", 102)),
    );
    let world = World::of(server);
    until("both have names", || {
        world.pod(1).is_some() && world.pod(2).is_some()
    })
    .await;
    assert_eq!(world.workload(1).as_deref(), Some("ReplicaSet/web-1"));
    let asked = world.server.requests();
    assert!(!asked.iter().any(|path| path.contains("secrets")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_leaves_its_controller_nameless_rather_than_wait_for_ever() {
    let server = ApiServer::start();
    server.refuse("/apis/apps/v1/namespaces", 500);
    let web = replicaset(
        &server,
        "web-1",
        101,
        Some(controller("apps/v1", "Deployment", "web", 801)),
    );
    server.put(PODS, owned(1, web.clone()));
    let world = World::of(server);
    until("it has what is known", || world.pod(1).is_some()).await;
    assert_eq!(world.workload(1).as_deref(), Some("ReplicaSet/web-1"));
    assert_eq!(world.watch.counted().unresolved, 1);
    // The next time that something is heard of it, it is asked again.
    world.server.refuse("/apis/apps/v1/namespaces", 0);
    let mut changed = owned(1, web);
    changed["metadata"]["labels"] = json!({"changed": "yes"});
    world.server.put(PODS, changed);
    until("it has its workload", || {
        world.workload(1).as_deref() == Some("Deployment/web")
    })
    .await;
}
