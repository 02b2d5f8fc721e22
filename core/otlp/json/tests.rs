//! What was written is read by `opentelemetry-proto`'s JSON and compared with what should be said,
//! and with what the protobuf encoder says.

use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use proptest::prelude::*;
use prost::Message as _;
use tapetum_model::{Attr, Connection, Entity, Loss, Payload, Records, UnixNanos, Window};
use tapetum_testkit::sample;

use super::*;
use crate::{PointEncoder, oracle};

const WINDOW: Window = Window {
    start: UnixNanos(1),
    end: UnixNanos(u64::MAX >> 1),
};
const LOSS: Loss = Loss {
    ring: 0,
    limit: 2,
    queue: 0,
};

fn lines(writer: &mut Lines, rows: &[Connection]) -> (Vec<(u64, TracesData)>, u64) {
    let mut lines = Vec::new();
    let filtered = writer.spans(&rows.to_vec().into(), &WINDOW, &LOSS, |items, line| {
        let text = String::from_utf8(line).expect("UTF-8");
        assert_eq!(text.find('\n'), Some(text.len() - 1), "one line");
        let data = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        lines.push((items, oracle::ordered(data)));
    });
    (lines, filtered)
}

#[test]
fn a_name_with_anything_in_it_is_escaped() {
    let mut row: Connection = sample::connection(0);
    let name = "a\"b\\c\n\t\u{1}\u{7f}ä\u{1f980}";
    row.local.entity = Some(Arc::new(Entity::new([(Attr::ServiceName, name.into())])));
    let (lines, _) = lines(&mut Lines::new(oracle::agent()), &[row]);
    let resource = lines[0].1.resource_spans[0].resource.clone().unwrap();
    let said = resource
        .attributes
        .iter()
        .find(|of| of.key == "service.name");
    assert!(
        format!("{said:?}").contains(&format!("{name:?}")),
        "{said:?}"
    );
}

#[test]
fn long_lines_end_and_begin_again() {
    let Payload::Records(Records::Connections(rows)) = sample::connections(400).payload else {
        panic!("the sample has connections")
    };
    let mut writer = Lines::new(oracle::agent());
    writer.line_bytes = 20_000;
    let (lines, filtered) = lines(&mut writer, &rows);
    assert!(lines.len() > 10);
    let mut spans = Vec::new();
    for (items, line) in lines {
        let before = spans.len();
        let groups = line.resource_spans.into_iter();
        spans.extend(groups.flat_map(|group| group.scope_spans[0].spans.clone()));
        assert_eq!((spans.len() - before) as u64, items);
    }
    let groups = oracle::traces(&rows, &WINDOW, &LOSS)
        .resource_spans
        .into_iter();
    let expected: Vec<_> = groups
        .flat_map(|group| group.scope_spans[0].spans.clone())
        .collect();
    assert_eq!(spans, expected);
    assert_eq!(spans.len() as u64 + filtered, 400);
}

#[test]
fn points_are_what_protobuf_says() {
    let points = oracle::points();
    let mut messages = Vec::new();
    PointEncoder::new(&oracle::agent()).encode(&points, |message| messages.push(message));
    let mut lines = Vec::new();
    Lines::new(oracle::agent()).points(&points, |items, line| lines.push((items, line)));
    assert_eq!((messages.len(), lines.len()), (1, 1));
    assert_eq!(lines[0].0, points.len() as u64);
    let expected = MetricsData::decode(messages[0].bytes.clone()).unwrap();
    let said: MetricsData = serde_json::from_slice(&lines[0].1).unwrap();
    assert_eq!(said, expected);
    let mut writer = Lines::new(oracle::agent());
    writer.line_bytes = 1;
    let mut count = 0;
    writer.points(&points, |items, line| {
        let line: MetricsData = serde_json::from_slice(&line).unwrap();
        assert_eq!(line.resource_metrics[0].scope_metrics[0].metrics.len(), 1);
        count += items;
    });
    assert_eq!(count, points.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_say_what_they_should(rows in prop::collection::vec(oracle::any::row(), 0..20)) {
        let (lines, filtered) = lines(&mut Lines::new(oracle::agent()), &rows);
        let items: u64 = lines.iter().map(|(items, _)| items).sum();
        prop_assert_eq!(items + filtered, rows.len() as u64);
        let said = lines.into_iter().next().map(|(_, data)| data).unwrap_or_default();
        prop_assert_eq!(said, oracle::traces(&rows, &WINDOW, &LOSS));
    }
}
