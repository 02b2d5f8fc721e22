//! Describes a graph of scripted components in a few lines.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapetum_pipeline::{
    Component, DiskSpec, Durable, Full, GraphSpec, Instance, Kind, Options, PipelineSpec,
    QueueSpec, RetrySpec, ServiceSpec, Settings,
};

use crate::registry::number;
use crate::sink::{ASKER, Asker, SINK, Sink};
use crate::source::{SOURCE, Source};
use crate::work::{WORK, Work};

/// A graph that is being described.
pub struct Graph(GraphSpec);

impl Default for Graph {
    fn default() -> Self {
        Self(GraphSpec {
            service: ServiceSpec {
                cluster: "test-cluster".to_owned(),
                data_dir: PathBuf::new(),
                admin: String::new(),
                memory_bytes: 256 << 20,
                drain: Duration::from_secs(10),
                trace_key: None,
            },
            receivers: Vec::new(),
            processors: Vec::new(),
            exporters: Vec::new(),
            pipelines: Vec::new(),
        })
    }
}

impl Graph {
    /// Adds a receiver.
    #[must_use]
    pub fn source(mut self, id: &str, source: &Source) -> Self {
        self.0
            .receivers
            .push(instance(id, &SOURCE, number(source.number)));
        self
    }

    /// Adds a processor.
    #[must_use]
    pub fn work(mut self, id: &str, work: &Work) -> Self {
        self.0
            .processors
            .push(instance(id, &WORK, number(work.number)));
        self
    }

    /// Adds an exporter that is sent to.
    #[must_use]
    pub fn sink(mut self, id: &str, sink: &Sink) -> Self {
        self.0
            .exporters
            .push(instance(id, &SINK, number(sink.number)));
        self
    }

    /// Adds an exporter that asks.
    #[must_use]
    pub fn asker(mut self, id: &str, asker: &Asker) -> Self {
        self.0
            .exporters
            .push(instance(id, &ASKER, number(asker.number)));
        self
    }

    /// Adds a real component under test, of any kind.
    #[must_use]
    pub fn component(
        mut self,
        id: &str,
        component: &'static Component,
        settings: Settings,
    ) -> Self {
        let instances = match component.kind() {
            Kind::Receiver => &mut self.0.receivers,
            Kind::Processor => &mut self.0.processors,
            Kind::Exporter => &mut self.0.exporters,
        };
        instances.push(instance(id, component, settings));
        self
    }

    /// Gives the exporter that was added last a queue.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn queue(mut self, size_bytes: u64, full: Option<Full>) -> Self {
        let last = self
            .0
            .exporters
            .last_mut()
            .expect("an exporter before its queue");
        last.queue = QueueSpec {
            size_bytes,
            full,
            disk: None,
        };
        self
    }

    /// Gives the queue of the exporter that was added last a disk; [`Options::files`] says which.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn disk(mut self, size_bytes: u64, persist: bool, sync: Durable) -> Self {
        let last = self.0.exporters.last_mut();
        let last = last.expect("an exporter before its disk");
        last.queue.disk = Some(DiskSpec {
            size_bytes,
            persist,
            sync,
        });
        self
    }

    /// Makes the exporter that was added last give up after this long.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn give_up(mut self, after: Duration) -> Self {
        let last = self
            .0
            .exporters
            .last_mut()
            .expect("an exporter before its retry");
        last.retry.give_up = after;
        self
    }

    /// Makes a component of the same script another one: nothing but a key that nobody reads differs.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn vary(mut self, kind: Kind, id: &str, variant: i64) -> Self {
        let instances = match kind {
            Kind::Receiver => &mut self.0.receivers,
            Kind::Processor => &mut self.0.processors,
            Kind::Exporter => &mut self.0.exporters,
        };
        let mut instances = instances.iter_mut();
        let instance = instances.find(|instance| instance.id == id);
        let instance = instance.expect("a component of this name");
        let mut table = instance.settings.table().clone();
        table.insert("variant".to_owned(), toml::Value::Integer(variant));
        instance.settings = Settings::new(table);
        self
    }

    /// Adds a pipeline.
    #[must_use]
    pub fn pipeline(mut self, name: &str, from: &[&str], through: &[&str], to: &[&str]) -> Self {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        self.0.pipelines.push(PipelineSpec {
            name: name.to_owned(),
            receivers: owned(from),
            processors: owned(through),
            exporters: owned(to),
        });
        self
    }

    /// The description; what is not said has a default.
    #[must_use]
    pub fn spec(self) -> GraphSpec {
        self.0
    }
}

/// Options of a test: tokio's clock, a fixed seed, no pages of metrics.
#[must_use]
pub fn options(seed: u64) -> Options {
    Options {
        clock: Arc::new(crate::Tokio::default()),
        seed,
        ..Options::new("test-host", "0.0.0")
    }
}

fn instance(id: &str, component: &'static Component, settings: Settings) -> Instance {
    Instance {
        id: id.to_owned(),
        component,
        settings,
        queue: QueueSpec {
            size_bytes: 1 << 20,
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
