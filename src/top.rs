//! `tapetum top`: what each component of a running agent moves, loses and holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::End;
use crate::admin::{Admin, Asked};
use crate::terminal::Terminal;

/// One component, a processor or a hand-over in one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Line {
    component: String,
    pipeline: String,
    /// Since its start.
    records_in: f64,
    records_out: f64,
    lost: f64,
    refused: f64,
    filtered: f64,
    absorbed: f64,
    held: f64,
    queue_bytes: f64,
    queue_capacity_bytes: f64,
    /// A second, since the look before; `null` in the first one.
    in_per_second: Option<f64>,
    out_per_second: Option<f64>,
    lost_per_second: Option<f64>,
}

type Lines = BTreeMap<(String, String), Line>;

/// How often a live table is drawn.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn top(admin: &str, once: bool, json: bool, terminal: &mut Terminal) -> io::Result<End> {
    let mut before: Option<(Instant, Lines)> = None;
    loop {
        let page = Admin::new(admin)
            .ask("/metrics")
            .and_then(|asked| match asked {
                Asked::Answered(answer) => answer.text(),
                Asked::Refused(text) => Err(io::Error::other(text)),
            });
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                terminal.complain(error.to_string().trim_end());
                return Ok(End::Failed);
            }
        };
        let (at, mut lines) = (Instant::now(), read(&page));
        if let Some((then, old)) = &before {
            rates(&mut lines, old, at.duration_since(*then));
        }
        let text = match json {
            true => serde_json::to_string(&lines.values().collect::<Vec<_>>())? + "\n",
            false => table(&lines, terminal),
        };
        let clear = if once || json { "" } else { terminal.clear() };
        terminal.write(&format!("{clear}{text}"))?;
        if once {
            return Ok(End::Well);
        }
        before = Some((at, lines));
        thread::sleep(EVERY);
    }
}

/// The books of every component, from a page of metrics.
fn read(page: &str) -> Lines {
    let mut lines = Lines::new();
    for sample in page.lines().filter(|line| line.starts_with("tapetum_")) {
        let Some((name, rest)) = sample.split_once('{') else {
            continue;
        };
        let Some((labels, value)) = rest.rsplit_once("} ") else {
            continue;
        };
        let value = value
            .split(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        let (Some(value), Some(component)) = (value, label(labels, "component")) else {
            continue;
        };
        let pipeline = label(labels, "pipeline").unwrap_or_default();
        let line = lines
            .entry((component.clone(), pipeline.clone()))
            .or_default();
        line.component = component;
        line.pipeline = pipeline;
        let place = match name {
            "tapetum_records_in_total" => &mut line.records_in,
            "tapetum_records_out_total" => &mut line.records_out,
            "tapetum_records_lost_total" => &mut line.lost,
            "tapetum_records_refused_total" => &mut line.refused,
            "tapetum_records_filtered_total" => &mut line.filtered,
            "tapetum_records_absorbed_total" => &mut line.absorbed,
            "tapetum_queue_records" => &mut line.held,
            "tapetum_queue_bytes" => &mut line.queue_bytes,
            "tapetum_queue_capacity_bytes" => &mut line.queue_capacity_bytes,
            _ => continue,
        };
        *place += value;
    }
    lines
}

/// The value of a label; the names of components and pipelines are what a file may say, quotes included.
fn label(labels: &str, name: &str) -> Option<String> {
    let start = format!("{name}=\"");
    let at = labels.match_indices(&start).map(|(at, _)| at);
    let mut at = at.filter(|at| *at == 0 || labels[..*at].ends_with(','));
    let mut rest = labels[at.next()? + start.len()..].chars();
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => match rest.next()? {
                'n' => text.push('\n'),
                each => text.push(each),
            },
            each => text.push(each),
        }
    }
}

fn rates(lines: &mut Lines, before: &Lines, passed: Duration) {
    let seconds = passed.as_secs_f64().max(0.001);
    for (key, line) in lines {
        let Some(old) = before.get(key) else { continue };
        // A process that was started anew begins at nothing.
        let rate = |now: f64, then: f64| Some((now - then).max(0.0) / seconds);
        line.in_per_second = rate(line.records_in, old.records_in);
        line.out_per_second = rate(line.records_out, old.records_out);
        line.lost_per_second = rate(line.lost, old.lost);
    }
}

fn table(lines: &Lines, terminal: &Terminal) -> String {
    let names = lines
        .values()
        .map(|line| (line.component.clone(), line.pipeline.clone()));
    let width = |names: Vec<usize>, head: usize| names.into_iter().max().unwrap_or(0).max(head);
    let names: Vec<_> = names.collect();
    let left = width(names.iter().map(|(id, _)| id.chars().count()).collect(), 9);
    let next = width(names.iter().map(|(_, id)| id.chars().count()).collect(), 8);
    let head = format!(
        "{:left$}  {:next$}  {:>9}  {:>9}  {:>12}  {:>9}  {:>9}  {:>9}  {:>6}",
        "COMPONENT", "PIPELINE", "IN/S", "OUT/S", "OUT", "FILTERED", "LOST", "HELD", "QUEUE"
    );
    let mut text = terminal.bold(&head) + "\n";
    for line in lines.values() {
        let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), short);
        let queue = match line.queue_capacity_bytes {
            capacity if capacity > 0.0 => format!("{:.0}%", line.queue_bytes / capacity * 100.0),
            _ => "-".to_owned(),
        };
        let lost = format!("{:>9}", short(line.lost));
        let lost = if line.lost > 0.0 {
            terminal.bad(&lost)
        } else {
            lost
        };
        let _ = writeln!(
            text,
            "{:left$}  {:next$}  {:>9}  {:>9}  {:>12}  {:>9}  {lost}  {:>9}  {queue:>6}",
            line.component,
            line.pipeline,
            rate(line.in_per_second),
            rate(line.out_per_second),
            short(line.records_out),
            short(line.filtered),
            short(line.held),
        );
    }
    text
}

/// A number in few digits.
fn short(number: f64) -> String {
    let (number, unit) = match number {
        n if n >= 1e9 => (n / 1e9, "G"),
        n if n >= 1e6 => (n / 1e6, "M"),
        n if n >= 1e4 => (n / 1e3, "k"),
        n => return format!("{n:.0}"),
    };
    format!("{number:.1}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP x\n\
        tapetum_records_in_total{component=\"otlp\"} 10\n\
        tapetum_records_lost_total{component=\"otlp\",stage=\"export\",reason=\"drain\"} 1\n\
        tapetum_records_lost_total{component=\"otlp\",stage=\"export\",reason=\"panic\"} 2 1700000000\n\
        tapetum_queue_bytes{component=\"otlp\"} 50\n\
        tapetum_queue_capacity_bytes{component=\"otlp\"} 100\n\
        tapetum_records_out_total{component=\"k8s\",pipeline=\"a \\\"b\\\", c\"} 2.5e4\n\
        tapetum_build_info{service_version=\"1\"} 1\n\
        other{component=\"x\"} 1\n";

    #[test]
    fn a_page_is_read_and_rates_follow() {
        let mut lines = read(PAGE);
        assert_eq!(lines.len(), 2);
        let otlp = &lines[&("otlp".to_owned(), String::new())];
        assert_eq!((otlp.records_in as u64, otlp.lost as u64), (10, 3));
        let k8s = &lines[&("k8s".to_owned(), "a \"b\", c".to_owned())];
        assert_eq!(k8s.records_out as u64, 25_000);
        let before = read(&PAGE.replace("} 10\n", "} 4\n"));
        rates(&mut lines, &before, Duration::from_secs(2));
        let otlp = &lines[&("otlp".to_owned(), String::new())];
        assert_eq!(otlp.in_per_second.map(|rate| rate as u64), Some(3));
        let text = table(&lines, &Terminal::new());
        assert!(text.contains("25.0k") && text.contains("50%"), "{text}");
    }
}
