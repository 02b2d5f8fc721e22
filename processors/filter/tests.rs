//! What `filter` leaves out, of each thing that flows.

use proptest::prelude::*;
use tapetum_model::{Connection, Loss, Origin, OtlpSignal, Records, Role, Window};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

fn filter(options: &str) -> Box<dyn Processor> {
    let mut table = settings("keep = []\ndrop = []").table().clone();
    table.extend(settings(options).table().clone());
    build(&Settings::new(table), &context("filter")).unwrap()
}

/// What is left of rows, and how many were filtered.
fn left(options: &str, count: usize) -> (Vec<Connection>, Vec<(&'static str, u64)>) {
    let mut filter = filter(options);
    let out = Books::default().process(filter.as_mut(), sample::connections(count), moment(1));
    let rows = out
        .batches
        .into_iter()
        .flat_map(|batch| match batch.payload {
            Payload::Records(Records::Connections(rows)) => rows.into_vec(),
            _ => panic!("records"),
        });
    (rows.collect(), out.filtered)
}

fn all(count: usize) -> Vec<Connection> {
    (0..count as u64).map(sample::connection).collect()
}

/// Holds a filter against what should be left.
fn judge(options: &str, keep: impl Fn(&Connection) -> bool) {
    let rows = all(200);
    let wanted: Vec<_> = rows.iter().filter(|row| keep(row)).cloned().collect();
    assert!(
        !wanted.is_empty() && wanted.len() < 200,
        "{options} is no test"
    );
    let (seen, filtered) = left(options, 200);
    assert_eq!(seen, wanted, "{options}");
    let count: u64 = filtered.iter().map(|(_, count)| count).sum();
    assert_eq!(count as usize, 200 - wanted.len(), "{options}");
}

#[test]
fn connections_by_each_test() {
    let port = sample::connection(0).server().address.port();
    judge(
        &format!("drop = [{{ where = [{{ attribute = 'server.port', equal = '{port}' }}] }}]"),
        |row| row.server().address.port() != port,
    );
    judge(
        &format!("keep = [{{ where = [{{ attribute = 'server.port', range = '..{port}' }}] }}]"),
        |row| row.server().address.port() <= port,
    );
    judge("drop = [{ kind = 'server' }]", |row| {
        row.role == Role::Client
    });
    judge(
        "keep = [{ where = [{ attribute = 'error.type' }] }]",
        |row| row.error.is_some(),
    );
    judge(
        "drop = [{ where = [{ attribute = 'error.type', not = true }] }]",
        |row| row.error.is_some(),
    );
}

#[test]
fn connections_by_the_network_of_an_end() {
    let first = sample::connection(0).client().address.ip();
    let cidr = format!("{first}/{}", if first.is_ipv4() { 32 } else { 128 });
    for name in ["client.address", "source.address"] {
        judge(
            &format!("drop = [{{ where = [{{ attribute = '{name}', cidr = '{cidr}' }}] }}]"),
            |row| row.client().address.ip() != first,
        );
    }
}

#[test]
fn connections_by_the_name_of_an_end() {
    let named = |row: &Connection| {
        let entity = row.local.entity.as_ref()?;
        entity.name().map(ToString::to_string)
    };
    let first = all(200).iter().find_map(named).expect("a named end");
    judge(
        &format!("drop = [{{ where = [{{ attribute = 'service.name', equal = '{first}' }}] }}]"),
        |row| named(row).as_ref() != Some(&first),
    );
}

#[test]
fn drop_goes_before_keep_and_all_of_a_rule_must_hold() {
    let (rows, filtered) = left(
        "keep = [{ kind = 'client' }]\ndrop = [{ kind = 'client', where = [{ attribute = 'server.port' }] }]",
        50,
    );
    assert!(rows.is_empty());
    let clients = all(50)
        .iter()
        .filter(|row| row.role == Role::Client)
        .count() as u64;
    assert_eq!(
        filtered,
        [("not_kept", 50 - clients), ("dropped_by_filter", clients)]
    );
    let (rows, filtered) = left("drop = [{ signal = 'logs' }]", 50);
    assert_eq!((rows.len(), filtered), (50, vec![]));
}

fn request(ports: &[i64]) -> Batch {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message as _;
    let record = |port: &i64| LogRecord {
        attributes: vec![KeyValue {
            key: "server.port".to_owned(),
            value: Some(AnyValue {
                value: Some(Value::IntValue(*port)),
            }),
            ..KeyValue::default()
        }],
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        log_records: ports.iter().map(record).collect(),
        ..ScopeLogs::default()
    };
    let resource_logs = ResourceLogs {
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    };
    Batch {
        payload: Payload::Otlp(Otlp {
            signal: OtlpSignal::Logs,
            items: ports.len() as u64,
            bytes: request.encode_to_vec().into(),
            peer: None,
        }),
        window: Window::default(),
        loss: Loss::default(),
        origin: Origin::Peer,
    }
}

#[test]
fn otlp_stays_the_bytes_that_it_was_where_nothing_goes() {
    let mut filter = filter(
        "drop = [{ signal = 'logs', where = [{ attribute = 'server.port', equal = '22' }] }]",
    );
    let bytes = |batch: &Batch| match &batch.payload {
        Payload::Otlp(otlp) => (otlp.items, otlp.bytes.contiguous()),
        _ => panic!("OTLP"),
    };
    let before = request(&[80, 443]);
    let out = Books::default().process(filter.as_mut(), before.clone(), moment(1));
    assert_eq!(bytes(&out.batches[0]), bytes(&before));
    assert_eq!(bytes(&out.batches[0]).1.as_ptr(), bytes(&before).1.as_ptr());
    let out = Books::default().process(filter.as_mut(), request(&[22, 80, 22]), moment(1));
    assert_eq!(bytes(&out.batches[0]), bytes(&request(&[80])));
    assert_eq!(out.filtered, [("dropped_by_filter", 2)]);
    let out = Books::default().process(filter.as_mut(), request(&[22]), moment(1));
    assert!(out.batches.is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |options: &str| {
        let mut table = settings("keep = []\ndrop = []").table().clone();
        table.extend(settings(options).table().clone());
        let problems = (COMPONENT.check)(&Settings::new(table));
        problems
            .into_iter()
            .map(|problem| problem.path.join("/"))
            .collect::<Vec<_>>()
    };
    let of = |test: &str| {
        said(&format!(
            "drop = [{{ kind = 'client' }}, {{ where = [{{ attribute = 'a' }}, {{ attribute = 'b', {test} }}] }}]"
        ))
    };
    assert_eq!(of("cidr = '10.0.0.1/8'"), ["drop/1/where/1/cidr"]);
    assert_eq!(of("cidr = 'ten'"), ["drop/1/where/1/cidr"]);
    assert_eq!(of("range = '5'"), ["drop/1/where/1/range"]);
    assert_eq!(of("range = '5..1'"), ["drop/1/where/1/range"]);
    assert_eq!(of("equal = 'a', prefix = 'b'"), ["drop/1/where/1/prefix"]);
    assert_eq!(of("range = '1..'"), [""; 0]);
    assert_eq!(said("keep = [{ }]"), ["keep/0"]);
    assert_eq!(said(""), [""]);
    assert!(
        (COMPONENT.check)(&Settings::new(
            settings(COMPONENT.example)
                .table()
                .clone()
                .into_iter()
                .chain(settings("keep = []").table().clone())
                .collect()
        ))
        .is_empty()
    );
}

proptest! {
    #[test]
    fn a_rule_and_its_opposite_part_everything(from in 0u16..60_000, width in 0u16..5_000) {
        let range = format!("{from}..{}", from.saturating_add(width));
        let rule = |not: bool| {
            format!("[{{ where = [{{ attribute = 'client.port', range = '{range}', not = {not} }}] }}]")
        };
        let (inside, _) = left(&format!("keep = {}", rule(false)), 64);
        let (outside, _) = left(&format!("drop = {}", rule(false)), 64);
        let (opposite, _) = left(&format!("keep = {}", rule(true)), 64);
        prop_assert_eq!(&outside, &opposite);
        prop_assert_eq!(inside.len() + outside.len(), 64);
        let holds = |row: &Connection| {
            (from..=from.saturating_add(width)).contains(&row.client().address.port())
        };
        prop_assert!(inside.iter().all(holds) && !outside.iter().any(holds));
    }
}
