//! Follows what flows through a pipeline: a component that cannot take what reaches it is named
//! together with the one that gives it.

use tapetum_model::Signal;

use super::GraphProblem;
use crate::{Component, Gives, GraphSpec, Kind, PipelineSpec};

/// A signal on its way, and who gave it.
struct Flow {
    signal: Signal,
    giver: String,
}

pub(super) fn check(spec: &GraphSpec, pipeline: &PipelineSpec, problems: &mut Vec<GraphProblem>) {
    let mut flows: Vec<Flow> = Vec::new();
    for id in &pipeline.receivers {
        let Some(instance) = spec.instance(Kind::Receiver, id) else {
            return; // What it would give is not known: the dangling name is the problem.
        };
        let Gives::These(signals) = instance.component.gives else {
            continue;
        };
        add(&mut flows, signals, &format!("receiver `{id}`"));
    }
    for id in &pipeline.processors {
        let Some(instance) = spec.instance(Kind::Processor, id) else {
            return;
        };
        refuse(
            pipeline,
            Kind::Processor,
            id,
            instance.component,
            &flows,
            problems,
        );
        // What it cannot take is said above: what follows is judged without it.
        flows.retain(|flow| instance.component.takes.contains(&flow.signal));
        if let (Gives::These(signals), false) = (instance.component.gives, flows.is_empty()) {
            flows.clear();
            add(&mut flows, signals, &format!("processor `{id}`"));
        }
    }
    for id in &pipeline.exporters {
        if let Some(instance) = spec.instance(Kind::Exporter, id) {
            refuse(
                pipeline,
                Kind::Exporter,
                id,
                instance.component,
                &flows,
                problems,
            );
        }
    }
}

fn add(flows: &mut Vec<Flow>, signals: &[Signal], giver: &str) {
    for signal in signals {
        if !flows.iter().any(|flow| flow.signal == *signal) {
            flows.push(Flow {
                signal: *signal,
                giver: giver.to_owned(),
            });
        }
    }
}

fn refuse(
    pipeline: &PipelineSpec,
    kind: Kind,
    id: &str,
    component: &Component,
    flows: &[Flow],
    problems: &mut Vec<GraphProblem>,
) {
    for flow in flows {
        if component.takes.contains(&flow.signal) {
            continue;
        }
        let taken: Vec<&str> = component.takes.iter().map(|signal| name(*signal)).collect();
        problems.push(GraphProblem::new(
            pipeline.place(Some((kind, id))),
            format!(
                "{} `{id}` cannot take the {} that {} gives",
                kind.name(),
                name(flow.signal),
                flow.giver
            ),
            hint(flow.signal, component, &taken),
        ));
    }
}

fn hint(signal: Signal, component: &Component, taken: &[&str]) -> String {
    if signal == Signal::Connections && component.takes.contains(&Signal::Points) {
        return "put `aggregate` before it: it makes metric points of connections".to_owned();
    }
    format!("`{}` takes {}", component.name, taken.join(", "))
}

/// How a person calls a signal.
fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Connections => "connections",
        Signal::Points => "metric points",
        Signal::Traces => "OTLP traces",
        Signal::Metrics => "OTLP metrics",
        Signal::Logs => "OTLP logs",
    }
}
