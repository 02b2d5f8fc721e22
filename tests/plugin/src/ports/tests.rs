//! What `ports` promises.

use tapetum_testkit::contract::{Books, moment};
use tapetum_testkit::{context, sample, settings};

use super::*;

#[test]
fn what_goes_on_and_what_is_left_out_add_up() {
    let batch = sample::connections(64);
    let port = match &batch.payload {
        Payload::Records(records) => records.as_rows().dimension(0, &Attr::ServerPort),
        _ => None,
    };
    let Some(Value::Int(port)) = port else {
        panic!("the sample has no port");
    };
    let mut ports =
        build(&settings(&format!("keep = [{port}]")), &context("ports")).expect("it is made");
    let out = Books::default().process(ports.as_mut(), batch, moment(1));
    let kept = out.batches[0].items();
    assert!((1..64).contains(&kept), "{kept}");
    assert_eq!(out.filtered, [("port", 64 - kept)]);
}

#[test]
fn a_batch_that_becomes_empty_goes_on() {
    let mut ports = build(&settings("keep = [1]"), &context("ports")).expect("it is made");
    let out = Books::default().process(ports.as_mut(), sample::connections(8), moment(1));
    assert_eq!((out.batches.len(), out.batches[0].items()), (1, 0));
}

#[test]
fn no_port_at_all_is_a_mistake() {
    let problems = (COMPONENT.check)(&settings("keep = []"));
    assert_eq!(problems[0].path, ["keep"]);
    assert!((COMPONENT.check)(&settings(COMPONENT.example)).is_empty());
}
