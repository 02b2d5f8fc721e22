//! What the whole agent wrote on each kernel.

use tapetum_lab::{Span, skip, tapetum_program};
use tapetum_vm::machine::Boot;
use tapetum_vm::report::Counted;

use crate::boots;
use crate::judge::check;

#[test]
fn with_connection_tracking_nothing_is_missing() {
    for boot in agent_boots() {
        let doctor = check(boot, "agent doctor");
        assert_eq!(doctor.more["code"], 0);
        let rows = doctor.more["rows"].as_array().expect("rows");
        let before = check(boot, "doctor").more.as_array().expect("rows");
        let of_kernel = |row: &&serde_json::Value| row["id"] != "host.node";
        let known = rows.iter().filter(of_kernel).count();
        assert_eq!(known, before.len(), "always the same rows of the kernel");
        assert!(
            rows.iter().all(|row| row["status"] == "ok"),
            "{}: {rows:#?}",
            boot.package
        );
    }
}

#[test]
fn the_agent_tells_both_ends_as_one_trace_with_exact_bytes() {
    for boot in agent_boots() {
        let agent = check(boot, "agent");
        let log = agent.more["log"].as_str().unwrap_or_default();
        assert_eq!(agent.more["code"], 0, "{log}");
        let text = agent.more["spans"].as_str().unwrap_or_default();
        let spans = Span::parse_lines(text).expect("OTLP JSON lines");
        let before: Vec<Counted> =
            serde_json::from_value(agent.more["before"].clone()).expect("counts");
        for ends in agent.counted.chunks(2) {
            let told: Vec<&Span> = ends.iter().map(|end| span_of(&spans, end)).collect();
            assert_eq!(told[0].trace, told[1].trace, "one trace: {told:?}");
            assert_eq!(
                told[1].parent, told[0].id,
                "the server's is the client's child: {told:?}"
            );
            let answered = told[0].address("network.peer").map(|at| at.to_string());
            assert_eq!(
                answered.as_ref(),
                Some(&ends[1].local),
                "who answered: {told:?}"
            );
            for (end, span) in ends.iter().zip(&told) {
                let old = before
                    .iter()
                    .find(|old| old.local == end.local && old.peer == end.peer);
                same_period(end, old, span);
            }
        }
        let virtual_ends = agent
            .counted
            .iter()
            .filter(|end| end.peer == "10.96.0.1:80");
        assert_eq!(virtual_ends.count(), 2, "one older than the agent, one not");
        refused_is_told(&spans);
    }
}

/// The one span of an end.
fn span_of<'a>(spans: &'a [Span], end: &Counted) -> &'a Span {
    // A client knows the other end as it asked for it, which may be a virtual IP.
    let (kind, other) = if end.accepted {
        (Span::SERVER, "client")
    } else {
        (Span::CLIENT, "server")
    };
    let is = |span: &&Span| {
        let at = |prefix| span.address(prefix).map(|at| at.to_string());
        span.kind == kind
            && at("network.local").as_ref() == Some(&end.local)
            && at(other).as_ref() == Some(&end.peer)
    };
    let mut of = spans.iter().filter(is);
    let (Some(span), None) = (of.next(), of.next()) else {
        panic!("not one span of {end:?}: {spans:#?}");
    };
    span
}

/// Asserts that a span has what moved in its period, and of an older connection that is over the
/// whole life's too.
fn same_period(end: &Counted, old: Option<&Counted>, span: &Span) {
    let (sent, received) = old.map_or((0, 0), |old| (old.sent, old.received));
    assert_eq!(
        span.count("flow.bytes.sent"),
        end.sent - sent,
        "{end:?} {span:?}"
    );
    assert_eq!(
        span.count("flow.bytes.received"),
        end.received - received,
        "{end:?} {span:?}"
    );
    if old.is_some() && span.is_last() {
        assert_eq!(
            span.count("flow.bytes.sent.total"),
            end.sent,
            "{end:?} {span:?}"
        );
        assert_eq!(
            span.count("flow.bytes.received.total"),
            end.received,
            "{end:?} {span:?}"
        );
    }
}

fn refused_is_told(spans: &[Span]) {
    let refused: Vec<_> = spans
        .iter()
        .filter(|span| span.text("error.type") == "connection_refused")
        .collect();
    assert_eq!(refused.len(), 1, "{spans:#?}");
    assert!(
        refused[0].error && refused[0].kind == Span::CLIENT,
        "{refused:?}"
    );
    assert_eq!(refused[0].attributes["server.port"], 1);
}

/// The boots that had an agent in them; where it has not been built, that is said.
fn agent_boots() -> &'static [Boot] {
    if let Err(error) = tapetum_program() {
        skip("tests/vm, the agent", &format!("{error:#}"));
        return &[];
    }
    boots()
}
