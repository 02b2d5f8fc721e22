//! What `sample` promises of whole batches; `choose` has the tests of the threshold.

use tapetum_model::{Connection, Flags, Records};
use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

fn rows_of(out: &Output) -> Vec<Connection> {
    match &out.batches[0].payload {
        Payload::Records(Records::Connections(rows)) => rows.clone().into_vec(),
        _ => panic!("records"),
    }
}

fn sampled(options: &str, rows: usize) -> Output {
    let mut sampler = Sample::new(settings(options).read().unwrap());
    Books::default().process(&mut sampler, sample::connections(rows), moment(5))
}

#[test]
fn errors_are_kept_and_every_row_stays_for_the_metrics() {
    let out = sampled("keep_errors = true\nper_second = 1", 4_096);
    let rows = rows_of(&out);
    assert_eq!(rows.len(), 4_096);
    let kept: Vec<_> = rows
        .iter()
        .filter(|row| row.flags.has(Flags::SPAN))
        .collect();
    let errors = kept.iter().filter(|row| row.error.is_some()).count();
    assert_eq!(errors, 4_096 / 16);
    assert!((1..32).contains(&(kept.len() - errors)), "{}", kept.len());
    for (n, row) in rows.iter().enumerate() {
        let mut before = sample::connection(n as u64);
        before.flags = before.flags.without(Flags::SPAN);
        let mut after = row.clone();
        after.flags = after.flags.without(Flags::SPAN);
        assert_eq!(before, after);
    }
}

#[test]
fn errors_are_like_the_others_if_the_file_says_so() {
    let out = sampled(
        "keep_errors = false\nper_second = 0\nratio = \"10%\"",
        4_096,
    );
    let rows = rows_of(&out);
    let kept = rows.iter().filter(|row| row.flags.has(Flags::SPAN));
    let (errors, others): (Vec<_>, Vec<_>) = kept.partition(|row| row.error.is_some());
    assert!((5..60).contains(&errors.len()), "{}", errors.len());
    assert!((250..550).contains(&others.len()), "{}", others.len());
}

#[test]
fn both_ends_choose_the_same_traces() {
    let options = "keep_errors = false\nper_second = 0\nratio = \"25%\"";
    let client = sampled(options, 1_000);
    let mut server = Sample::new(settings(options).read().unwrap());
    // The other end sees the same traces in another order, after others.
    let mut rows: Vec<_> = (0..1_000).rev().map(sample::connection).collect();
    rows.splice(0..0, (5_000..6_000).map(sample::connection));
    let server = Books::default().process(&mut server, sample::batch(rows), moment(900));
    let there = rows_of(&server);
    for row in rows_of(&client) {
        let other = there.iter().find(|there| there.trace == row.trace).unwrap();
        assert_eq!(row.flags.has(Flags::SPAN), other.flags.has(Flags::SPAN));
    }
}

#[test]
fn its_options_are_checked_and_it_builds() {
    let problems = (COMPONENT.check)(&settings(
        "keep_errors = true\nper_second = 50\nratio = \"0%\"",
    ));
    assert_eq!(problems[0].path, ["ratio"]);
    let defaults = settings(COMPONENT.example);
    assert!((COMPONENT.check)(&defaults).is_empty());
    assert!((COMPONENT.bound)(&defaults).user_bytes < 1 << 20);
    let Build::Processor(build) = COMPONENT.build else {
        panic!("a processor")
    };
    assert!(build(&defaults, &context("sample")).is_ok());
}
