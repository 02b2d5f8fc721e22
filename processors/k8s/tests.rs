//! What `k8s` promises without a cluster: names stay, nodes are said, networks are named. With one:
//! `names.rs`, `late.rs`.

mod late;
mod names;
mod world;

use std::sync::Arc;

use tapetum_model::{Attr, Connection, End as Side, Entity, Records};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

fn named(options: &str, rows: Vec<Connection>) -> Vec<Connection> {
    let config: Config = settings(options).read().unwrap();
    let mut processor = K8s::new(&config, None, &Telemetry::default()).unwrap();
    let mut books = Books::default();
    let mut out = books.process(&mut processor, sample::batch(rows), moment(1));
    assert!(
        books
            .flush(&mut processor, Flush::Drain, moment(2))
            .batches
            .is_empty()
    );
    match out.batches.remove(0).payload {
        Payload::Records(Records::Connections(rows)) => rows.into_vec(),
        _ => panic!("records"),
    }
}

fn to(address: &str) -> Connection {
    let mut row = sample::connection(0);
    row.remote = Side::of(address.parse().unwrap());
    row
}

fn far_name(row: &Connection) -> Option<&str> {
    row.remote.entity.as_ref()?.name().map(|name| &**name)
}

#[test]
fn names_of_the_receiver_stay() {
    let rows: Vec<_> = (0..64).map(sample::connection).collect();
    let networks = "scope = \"cluster\"\nnetworks = { \"0.0.0.0/0\" = \"all\" }";
    assert_eq!(named(networks, rows.clone()), rows);
}

#[test]
fn ends_of_this_host_get_their_node_once() {
    let bare = Arc::new(Entity::new([(Attr::ServiceName, Arc::from("nginx"))]));
    let mut row = sample::connection(0);
    row.local.entity = Some(Arc::clone(&bare));
    row.remote.entity = Some(Arc::clone(&bare));
    let rows = named(
        "node = \"node-7\"\nscope = \"node\"",
        vec![row.clone(), row],
    );
    let entities: Vec<_> = rows
        .iter()
        .flat_map(|row| [&row.local.entity, &row.remote.entity])
        .map(|entity| entity.as_ref().unwrap())
        .collect();
    for entity in &entities {
        assert_eq!(&**entity.attribute(&Attr::K8sNodeName).unwrap(), "node-7");
        assert_eq!(&**entity.name().unwrap(), "nginx");
        assert!(Arc::ptr_eq(entity, entities[0]));
    }
    // One that has a node already is not touched.
    let rows = named(
        "node = \"node-7\"\nscope = \"node\"",
        vec![sample::connection(3)],
    );
    assert_eq!(rows, [sample::connection(3)]);
}

#[test]
fn the_longest_network_names_an_end() {
    let options = "scope = \"cluster\"\n[networks]\n\"203.0.113.0/24\" = \"provider\"\n\"203.0.113.8/30\" = \"provider-eu\"\n\"10.8.0.0/16\" = \"office\"\n\"2001:db8::/32\" = \"six\"\n";
    let cases = [
        ("203.0.113.1:443", Some("provider")),
        ("203.0.113.9:443", Some("provider-eu")),
        ("[::ffff:203.0.113.9]:443", Some("provider-eu")),
        ("10.8.200.1:443", Some("office")),
        ("[2001:db8::7]:443", Some("six")),
        ("8.8.8.8:53", Some("external")),
        ("[2606:4700::1]:443", Some("external")),
        ("10.9.0.1:443", None),
        ("172.31.0.1:443", None),
        ("192.168.1.1:443", None),
        ("127.0.0.1:443", None),
        ("169.254.169.254:80", None),
        ("100.64.3.4:80", None),
        ("[::1]:80", None),
        ("[fd00::1]:80", None),
        ("[fe80::1]:80", None),
    ];
    let rows = named(
        options,
        cases.iter().map(|(address, _)| to(address)).collect(),
    );
    for (row, (address, name)) in rows.iter().zip(cases) {
        assert_eq!(far_name(row), name, "{address}");
    }
}

#[test]
fn what_it_remembers_is_bounded_and_forgotten() {
    let mut locals = Locals::new("node");
    for n in 0..3 * locals::LOCALS_MAX {
        let entity = Arc::new(Entity::new([(Attr::ServiceName, n.to_string().into())]));
        let local = locals.find(&entity, None);
        assert!(local.goes.attribute(&Attr::K8sNodeName).is_some());
        assert!(locals.len() <= locals::LOCALS_MAX);
    }
    locals.forget();
    assert_eq!(locals.len(), 0);
}

#[test]
fn every_wrong_network_is_a_problem_of_its_own() {
    let problems = (COMPONENT.check)(&settings(
        "scope = \"cluster\"\n[networks]\n\"10.0.0.1/8\" = \"a\"\n\"10.0.0.0\" = \"b\"\n\"10.0.0.0/33\" = \"c\"\n\"192.168.0.0/16\" = \"\"\n\"::/0\" = \"d\"\n",
    ));
    let wrong: Vec<_> = problems.iter().map(|it| it.path[1].as_str()).collect();
    assert_eq!(
        wrong,
        ["10.0.0.0", "10.0.0.0/33", "10.0.0.1/8", "192.168.0.0/16"]
    );
    assert!(problems[2].message.contains("behind its prefix"));
}

#[test]
fn a_cluster_is_near_where_a_pod_or_a_person_says_so() {
    assert!(cluster::is_near(|name| name == "KUBERNETES_SERVICE_HOST"));
    assert!(cluster::is_near(|name| name == "KUBECONFIG"));
    assert!(!cluster::is_near(|_| false));
}

#[test]
fn it_builds_from_its_example() {
    let example = settings(COMPONENT.example);
    assert!((COMPONENT.check)(&example).is_empty());
    assert!((COMPONENT.bound)(&example).user_bytes < 64 << 20);
    let Build::Processor(build) = COMPONENT.build else {
        panic!("a processor")
    };
    let built = build(&example, &context("k8s")).unwrap();
    assert_eq!(built.flush_every(), Some(FORGET_EVERY));
}
