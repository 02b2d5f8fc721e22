//! `tapetum doctor`: what this kernel and these privileges give, what is lost without the rest.

use std::fmt::Write as _;
use std::io;

use tapetum_probes::loader::{Check, Host, Missing, Status, TCP_HOOKS, checks, facts};
use tapetum_probes::tcp;
use tapetum_receivers::identity::Node;

use crate::End;
use crate::terminal::Terminal;

pub(crate) fn doctor(json: bool, terminal: &mut Terminal) -> io::Result<End> {
    let rows = rows(&tcp::rehearse(&Host::default()));
    let text = if json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        rows.iter().map(|row| line(row, terminal)).collect()
    };
    terminal.write(&text)?;
    Ok(match fatal(&rows) {
        Some(_) => End::Failed,
        None => End::Well,
    })
}

/// The row without which nothing can be observed, as one sentence.
pub(crate) fn refusal() -> Option<String> {
    fatal(&rows(&[])).map(|row| {
        format!(
            "{}: {}: {}; {} (`tapetum doctor` says the rest)",
            row.name, row.found, row.lost, row.advice
        )
    })
}

/// `refused`: the programs that were tried and not taken. `run` tries them anyway, at its start.
fn rows(refused: &[Missing]) -> Vec<Check> {
    let host = Host::default();
    let mut rows = checks(&facts(&host, &TCP_HOOKS), &TCP_HOOKS, refused);
    rows.push(node(&Node::of_process(&host.proc, std::process::id())));
    rows
}

/// What of the kernel is reported: another node may share it.
fn node(node: &Node) -> Check {
    let (status, lost, advice) = match node {
        Node::Hidden => (
            Status::Degraded,
            "where nodes share a kernel, every agent reports the connections of all of them",
            "mount the host's /sys/fs/cgroup",
        ),
        Node::Below(_) | Node::Whole { .. } | Node::NoPod => (Status::Ok, "", ""),
    };
    Check {
        id: "host.node".to_owned(),
        name: "what is reported".to_owned(),
        status,
        fatal: false,
        found: node.to_string(),
        lost: lost.to_owned(),
        advice: advice.to_owned(),
    }
}

fn fatal(rows: &[Check]) -> Option<&Check> {
    rows.iter()
        .find(|row| row.fatal && row.status == Status::Missing)
}

fn line(row: &Check, terminal: &Terminal) -> String {
    let status = match row.status {
        Status::Ok => terminal.good("ok      "),
        Status::Degraded => terminal.warning("less    "),
        Status::Missing if row.fatal => terminal.bad("missing "),
        Status::Missing => terminal.warning("missing "),
    };
    let mut text = format!("{status} {:<38} {}\n", row.name, row.found);
    for (what, words) in [("lost", &row.lost), ("do", &row.advice)] {
        if !words.is_empty() {
            let _ = writeln!(text, "           {what}: {words}");
        }
    }
    text
}
