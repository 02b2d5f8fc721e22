//! Files that are right, files that are wrong in every known way, and files that are noise.

use std::io;
use std::path::Path;

use tapetum_model::Signal;
use tapetum_pipeline::{
    Bound, Build, BuildError, Component, Context, Gives, GraphSpec, Opt, OptKind, Problem, Settings,
};

use crate::{Report, Source, World, load};

mod noise;
mod places;
mod right;
mod secrets;
mod wrong;

const fn opt(key: &'static str, kind: OptKind, default: Option<&'static str>) -> Opt {
    Opt {
        key,
        kind,
        default,
        optional: false,
        help: "what it does",
        why: "",
    }
}

const fn optional(key: &'static str, kind: OptKind) -> Opt {
    Opt {
        optional: true,
        ..opt(key, kind, None)
    }
}

fn build<T>(_: &Settings, _: &Context) -> Result<T, BuildError> {
    Err(BuildError::new("made for tests of the file alone"))
}

const fn component(
    name: &'static str,
    takes: &'static [Signal],
    gives: Gives,
    options: &'static [Opt],
    build: Build,
) -> Component {
    Component {
        name,
        summary: "a component of these tests",
        takes,
        gives,
        options,
        metrics: &[],
        example: "",
        check: |_| Vec::new(),
        bound: |_| Bound {
            user_bytes: 0,
            kernel_bytes: 0,
        },
        build,
    }
}

static TCP: Component = Component {
    check: |settings| {
        let is_odd = settings.table()["max_connections"].as_integer() == Some(13);
        let problem = Problem {
            hint: Some("12 or 14".to_owned()),
            ..Problem::at("max_connections", "13 brings bad luck")
        };
        is_odd.then_some(problem).into_iter().collect()
    },
    ..component(
        "tcp",
        &[],
        Gives::These(&[Signal::Connections]),
        &[
            opt("sweep", OptKind::Duration, Some("'10s'")),
            opt(
                "max_connections",
                OptKind::Integer {
                    min: 1,
                    max: 1_000_000,
                },
                Some("65_536"),
            ),
            opt(
                "exclude",
                OptKind::List(&OptKind::Choice(&["self", "loopback"])),
                Some("['self']"),
            ),
        ],
        Build::Receiver(build),
    )
};

static SAMPLE: Component = component(
    "sample",
    &[Signal::Connections],
    Gives::Same,
    &[
        opt("keep_errors", OptKind::Bool, Some("true")),
        opt("share", OptKind::Rate, Some("'100%'")),
    ],
    Build::Processor(build),
);

static AGGREGATE: Component = component(
    "aggregate",
    &[Signal::Connections],
    Gives::These(&[Signal::Points]),
    &[],
    Build::Processor(build),
);

static OTLP: Component = component(
    "otlp",
    &[Signal::Connections, Signal::Points],
    Gives::Nothing,
    &[
        opt("endpoint", OptKind::Url, None),
        opt("headers", OptKind::Map(&OptKind::Secret), Some("{}")),
        opt("limit", OptKind::Size, Some("'4MiB'")),
        optional("ca", OptKind::Path),
    ],
    Build::Exporter(build),
);

static PROMETHEUS: Component = component(
    "prometheus",
    &[Signal::Points],
    Gives::Nothing,
    &[opt("listen", OptKind::Listen, Some("'127.0.0.1:9464'"))],
    Build::Asked(build),
);

static COMPONENTS: [&Component; 5] = [&TCP, &SAMPLE, &AGGREGATE, &OTLP, &PROMETHEUS];

/// A world of a few things, one of them secret.
struct Small;

impl World for Small {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "NODE" => "n1",
            "MAX" => "4096",
            "TOKEN" => "hush-hush",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/tapetum/token") => Ok("hush-hush\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn read(text: &str) -> Result<GraphSpec, Report> {
    let source = Source::new("/etc/tapetum/tapetum.toml", text);
    load(vec![source], &COMPONENTS, &Small)
}

/// The smallest right file, with more to be added to it.
fn with(more: &str) -> String {
    format!(
        "[receivers.tcp]\n[exporters.otlp]\nendpoint = \"http://c:4317\"\n\
         [pipelines.p]\nreceivers = [\"tcp\"]\nexporters = [\"otlp\"]\n{more}"
    )
}

/// What is said of a file: places and messages alone.
fn said(text: &str) -> Vec<String> {
    let report = read(text).expect_err("this file is wrong");
    lines_of(&report)
}

fn lines_of(report: &Report) -> Vec<String> {
    let text = report.render(false);
    let mut said: Vec<String> = Vec::new();
    for block in text.split("error: ").skip(1) {
        let (message, rest) = block.split_once('\n').unwrap_or((block, ""));
        let place = rest.trim_start().strip_prefix("--> ");
        let place = place.and_then(|place| place.lines().next());
        let place = place.and_then(|place| place.rsplit('/').next());
        said.push(match place {
            Some(place) => format!("{} {message}", place.trim_start_matches("tapetum.toml:")),
            None => message.to_owned(),
        });
    }
    said
}
