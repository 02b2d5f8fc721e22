//! Every kind of problem is found, all at once, and a right graph has none.

use std::path::PathBuf;
use std::time::Duration;

use tapetum_model::Signal;

use super::*;
use crate::{
    Bound, Build, BuildError, Component, Gives, QueueSpec, RetrySpec, ServiceSpec, Settings,
};

const fn component(
    name: &'static str,
    takes: &'static [Signal],
    gives: Gives,
    build: Build,
) -> Component {
    Component {
        name,
        summary: "",
        takes,
        gives,
        options: &[],
        metrics: &[],
        example: "",
        check: |_| Vec::new(),
        bound: |_| Bound {
            user_bytes: 1 << 20,
            kernel_bytes: 1 << 19,
        },
        build,
    }
}

const RECEIVER: Build = Build::Receiver(|_, _| Err(BuildError::new("")));
const PROCESSOR: Build = Build::Processor(|_, _| Err(BuildError::new("")));
const EXPORTER: Build = Build::Exporter(|_, _| Err(BuildError::new("")));
static TCP: Component = component("tcp", &[], Gives::These(&[Signal::Connections]), RECEIVER);
static OTLP_IN: Component = component(
    "otlp",
    &[],
    Gives::These(&[Signal::Traces, Signal::Logs]),
    RECEIVER,
);
static NAMES: Component = component(
    "k8s",
    &[Signal::Connections, Signal::Traces, Signal::Logs],
    Gives::Same,
    PROCESSOR,
);
static AGGREGATE: Component = component(
    "aggregate",
    &[Signal::Connections],
    Gives::These(&[Signal::Points]),
    PROCESSOR,
);
static OTLP: Component = component(
    "otlp",
    &[Signal::Connections, Signal::Points, Signal::Traces],
    Gives::Nothing,
    EXPORTER,
);
static PROMETHEUS: Component = component("prometheus", &[Signal::Points], Gives::Nothing, EXPORTER);

fn instance(id: &str, component: &'static Component) -> Instance {
    Instance {
        id: id.to_owned(),
        component,
        settings: Settings::default(),
        queue: QueueSpec {
            size_bytes: 8 << 20,
            full: None,
            disk: None,
        },
        retry: RetrySpec {
            first: Duration::from_secs(1),
            most: Duration::from_secs(30),
            give_up: Duration::from_secs(900),
        },
    }
}

fn pipeline(name: &str, receivers: &[&str], processors: &[&str], out: &[&str]) -> PipelineSpec {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    PipelineSpec {
        name: name.to_owned(),
        receivers: owned(receivers),
        processors: owned(processors),
        exporters: owned(out),
    }
}

fn spec(pipelines: Vec<PipelineSpec>) -> GraphSpec {
    GraphSpec {
        service: ServiceSpec {
            cluster: String::new(),
            data_dir: PathBuf::new(),
            admin: String::new(),
            memory_bytes: 64 << 20,
            drain: Duration::from_secs(10),
            trace_key: None,
        },
        receivers: vec![instance("tcp", &TCP)],
        processors: vec![instance("k8s", &NAMES), instance("aggregate", &AGGREGATE)],
        exporters: vec![instance("otlp", &OTLP), instance("prometheus", &PROMETHEUS)],
        pipelines,
    }
}

fn right() -> GraphSpec {
    spec(vec![
        pipeline("connections", &["tcp"], &["k8s"], &["otlp"]),
        pipeline(
            "metrics",
            &["tcp"],
            &["k8s", "aggregate"],
            &["prometheus", "otlp"],
        ),
    ])
}

fn said(spec: &GraphSpec) -> Vec<String> {
    spec.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn a_right_graph_has_no_problem() {
    assert_eq!(said(&right()), Vec::<String>::new());
}

#[test]
fn all_problems_are_said_at_once() {
    let mut spec = spec(vec![
        pipeline("a", &["tpc"], &[], &["otlp", "otlp"]),
        pipeline("b", &["tcp"], &["nothing"], &[]),
    ]);
    spec.exporters.push(instance("otlp/archive", &OTLP));
    assert_eq!(
        said(&spec),
        [
            "[pipelines.a]: there is no receiver `tpc` (did you mean `tcp`?)",
            "[pipelines.a]: exporter `otlp` is named twice (name it once)",
            "[pipelines.b]: there is no processor `nothing` (add a table [processors.nothing])",
            "[pipelines.b]: the pipeline has no exporter (name at least one in `exporters`)",
            "[processors.k8s]: processor `k8s` is in no pipeline (name it in a pipeline, or take its table out)",
            "[processors.aggregate]: processor `aggregate` is in no pipeline (name it in a pipeline, or take its table out)",
            "[exporters.prometheus]: exporter `prometheus` is in no pipeline (name it in a pipeline, or take its table out)",
            "[exporters.\"otlp/archive\"]: exporter `otlp/archive` is in no pipeline (name it in a pipeline, or take its table out)",
        ]
    );
    let without: GraphSpec = GraphSpec {
        pipelines: Vec::new(),
        receivers: Vec::new(),
        processors: Vec::new(),
        exporters: Vec::new(),
        ..right()
    };
    assert_eq!(without.problems()[0].place, Place::Graph);
}

#[test]
fn a_signal_that_cannot_be_taken_is_said_with_both_names() {
    let mut spec = right();
    spec.pipelines[1].processors.clear();
    spec.processors
        .retain(|instance| instance.id != "aggregate");
    assert_eq!(
        said(&spec),
        [
            "[pipelines.metrics]: exporter `prometheus` cannot take the connections that receiver `tcp` gives (put `aggregate` before it: it makes metric points of connections)"
        ]
    );
    let mut spec = right();
    spec.receivers.push(instance("otlp", &OTLP_IN));
    spec.pipelines[0].receivers = vec!["otlp".to_owned()];
    assert_eq!(
        said(&spec),
        [
            "[pipelines.connections]: exporter `otlp` cannot take the OTLP logs that receiver `otlp` gives (`otlp` takes connections, metric points, OTLP traces)"
        ]
    );
    spec.pipelines[0].processors.push("aggregate".to_owned());
    let both = spec.problems();
    assert_eq!(
        both.len(),
        2,
        "each signal once, and not again behind: {both:?}"
    );
    assert_eq!(
        both[0].place,
        Place::Pipeline {
            name: "connections".to_owned(),
            entry: Some((Kind::Processor, "aggregate".to_owned())),
        }
    );
}

#[test]
fn a_queue_blocks_only_where_it_is_alone() {
    let mut spec = right();
    spec.exporters[0].queue.full = Some(Full::Block);
    let problems = spec.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("2 exporters"), "{problems:?}");
    spec.pipelines[1].exporters.pop();
    assert_eq!(spec.problems(), []);
}

#[test]
fn the_budget_sums_components_and_queues_and_says_what_to_lower() {
    let mut spec = right();
    // Receiver 1, k8s in two pipelines 2, aggregate 1, exporters 2: each 1.5 MiB; two queues.
    let total = 6 * ((1 << 20) + (1 << 19)) + 2 * (8 << 20);
    assert_eq!(spec.budget().total_bytes(), total);
    assert_eq!(spec.budget().excess(total), None);
    spec.exporters[1].queue.size_bytes = 64 << 20;
    assert_eq!(
        spec.budget().excess(64 << 20).as_deref(),
        Some(
            "the pipelines can take 81 MiB but `service.memory` is 64MiB: raise it, or lower the largest: `queue.size` of [exporters.prometheus] 64 MiB, `queue.size` of [exporters.otlp] 8 MiB, [processors.k8s] 3 MiB"
        )
    );
}
