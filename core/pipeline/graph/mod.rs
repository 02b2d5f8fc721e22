//! Judges a graph before anything of it is built: a pure function from the description to every
//! problem at once. The configuration crate adds the positions; the engine refuses to start.

mod budget;
mod signals;
#[cfg(test)]
mod tests;

use std::fmt;

pub use budget::{Budget, BudgetLine};

use crate::{Full, GraphSpec, Instance, Kind, PipelineSpec};

/// What is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphProblem {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Where in a file a problem of the graph is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Graph,
    /// A component's table: `[receivers.tcp]`.
    Instance {
        /// Which of the three tables.
        kind: Kind,
        /// Its key.
        id: String,
    },
    /// A pipeline's table: `[pipelines.metrics]`.
    Pipeline {
        /// Its name.
        name: String,
        /// The list, and the name in it, that is meant; `None`: the table, or a list that is not
        /// there.
        entry: Option<(Kind, String)>,
    },
}

impl GraphProblem {
    fn new(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl fmt::Display for GraphProblem {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Graph => {}
            Place::Instance { kind, id } => write!(to, "{}: ", kind.header(id))?,
            Place::Pipeline { name, .. } => write!(to, "[pipelines.{name}]: ")?,
        }
        to.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(to, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl GraphSpec {
    /// Every problem of the graph: dangling names, unused components, empty pipelines, signals that a
    /// component cannot take, policies that do not fit. Empty if it can be built.
    #[must_use]
    pub fn problems(&self) -> Vec<GraphProblem> {
        let mut problems = Vec::new();
        if self.pipelines.is_empty() {
            problems.push(GraphProblem::new(
                Place::Graph,
                "there is no pipeline",
                "add a table like [pipelines.connections] with receivers and exporters",
            ));
        }
        for pipeline in &self.pipelines {
            self.check_names(pipeline, &mut problems);
            self.check_block(pipeline, &mut problems);
            signals::check(self, pipeline, &mut problems);
        }
        for kind in Kind::ALL {
            self.check_use(kind, &mut problems);
        }
        problems
    }

    /// The instances of one kind.
    #[must_use]
    pub fn instances(&self, kind: Kind) -> &[Instance] {
        match kind {
            Kind::Receiver => &self.receivers,
            Kind::Processor => &self.processors,
            Kind::Exporter => &self.exporters,
        }
    }

    /// One instance by its name.
    #[must_use]
    pub fn instance(&self, kind: Kind, id: &str) -> Option<&Instance> {
        self.instances(kind)
            .iter()
            .find(|instance| instance.id == id)
    }

    fn check_names(&self, pipeline: &PipelineSpec, problems: &mut Vec<GraphProblem>) {
        for kind in Kind::ALL {
            let names = pipeline.names(kind);
            if names.is_empty() && kind != Kind::Processor {
                problems.push(GraphProblem::new(
                    pipeline.place(None),
                    format!("the pipeline has no {}", kind.name()),
                    format!("name at least one in `{}`", kind.table()),
                ));
            }
            for (at, name) in names.iter().enumerate() {
                if self.instance(kind, name).is_none() {
                    problems.push(self.dangling(pipeline, kind, name));
                } else if names[..at].contains(name) {
                    problems.push(GraphProblem::new(
                        pipeline.place(Some((kind, name))),
                        format!("{} `{name}` is named twice", kind.name()),
                        "name it once",
                    ));
                }
            }
        }
    }

    fn dangling(&self, pipeline: &PipelineSpec, kind: Kind, name: &str) -> GraphProblem {
        let nearest = self
            .instances(kind)
            .iter()
            .map(|instance| (strsim::damerau_levenshtein(&instance.id, name), instance))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= name.len().div_ceil(3));
        let hint = match nearest {
            Some((_, instance)) => format!("did you mean `{}`?", instance.id),
            None => format!("add a table {}", kind.header(name)),
        };
        let message = format!("there is no {} `{name}`", kind.name());
        GraphProblem::new(pipeline.place(Some((kind, name))), message, hint)
    }

    fn check_block(&self, pipeline: &PipelineSpec, problems: &mut Vec<GraphProblem>) {
        if pipeline.exporters.len() < 2 {
            return;
        }
        for id in &pipeline.exporters {
            let blocks = self
                .instance(Kind::Exporter, id)
                .is_some_and(|instance| instance.queue.full == Some(Full::Block));
            if blocks {
                problems.push(GraphProblem::new(
                    pipeline.place(Some((Kind::Exporter, id))),
                    format!(
                        "exporter `{id}` blocks when its queue is full, but this pipeline has {} exporters and a slow one would slow the others",
                        pipeline.exporters.len()
                    ),
                    "give it a pipeline of its own, or another `full` in its `queue`",
                ));
            }
        }
    }

    fn check_use(&self, kind: Kind, problems: &mut Vec<GraphProblem>) {
        for instance in self.instances(kind) {
            let used = self
                .pipelines
                .iter()
                .any(|pipeline| pipeline.names(kind).contains(&instance.id));
            if !used {
                problems.push(GraphProblem::new(
                    Place::Instance {
                        kind,
                        id: instance.id.clone(),
                    },
                    format!("{} `{}` is in no pipeline", kind.name(), instance.id),
                    "name it in a pipeline, or take its table out",
                ));
            }
        }
    }
}

impl PipelineSpec {
    /// The names of one kind, in order.
    #[must_use]
    pub fn names(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Receiver => &self.receivers,
            Kind::Processor => &self.processors,
            Kind::Exporter => &self.exporters,
        }
    }

    fn place(&self, entry: Option<(Kind, &str)>) -> Place {
        Place::Pipeline {
            name: self.name.clone(),
            entry: entry.map(|(kind, id)| (kind, id.to_owned())),
        }
    }
}
