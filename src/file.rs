//! The pipeline file as `run` reads it, at the start and again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tapetum_config::{DEFAULT_FILE, Host, Source, World, load};
use tapetum_exporters::prometheus;
use tapetum_otlp::Agent;
use tracing::info;

use crate::identity::Identity;
use crate::memory;
use crate::model::Payload;
use crate::pipeline::{Component, GraphSpec, Options};
use crate::tap;
use crate::watch::Watch;

/// Which files are one file, and what may stand in it.
pub(crate) struct Files<'a> {
    files: Vec<PathBuf>,
    components: &'a [&'static Component],
}

/// The host, which remembers what it was asked to read.
struct Remembering(Mutex<Vec<PathBuf>>);

impl<'a> Files<'a> {
    /// The files that were named; the default one if none was.
    pub(crate) fn new(files: &[PathBuf], components: &'a [&'static Component]) -> Self {
        let files = match files {
            [] => vec![PathBuf::from(DEFAULT_FILE)],
            files => files.to_vec(),
        };
        Self { files, components }
    }

    /// What they say now and what of the world they are made of; what is wrong with them in a sentence.
    pub(crate) fn read(&self) -> (Result<GraphSpec, String>, Watch) {
        let world = Remembering(Mutex::new(self.files.clone()));
        let spec = self.spec(&world);
        let read = world.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        (spec, Watch::new(read))
    }

    fn spec(&self, world: &Remembering) -> Result<GraphSpec, String> {
        let mut sources = Vec::new();
        for file in &self.files {
            let source = Source::read(file, world);
            sources.push(source.map_err(|error| error.to_string())?);
        }
        let spec = load(sources, self.components, world);
        spec.map(within_the_cgroup)
            .map_err(|report| report.summary())
    }
}

impl World for Remembering {
    fn variable(&self, name: &str) -> Option<String> {
        Host.variable(name)
    }

    fn text(&self, path: &Path) -> std::io::Result<String> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.push(path.to_path_buf());
        drop(read);
        Host.text(path)
    }
}

/// With the budget that the control group leaves of the file's.
fn within_the_cgroup(mut spec: GraphSpec) -> GraphSpec {
    let limit = memory::limit_bytes(Path::new("/proc"), Path::new("/sys/fs/cgroup"));
    if let Some(limit) = limit.filter(|limit| *limit < spec.service.memory_bytes) {
        info!(
            limit_bytes = limit,
            "the control group allows less memory than the file"
        );
        spec.service.memory_bytes = limit;
    }
    spec
}

/// Who the agent is by this file, and how it writes its page.
pub(crate) fn options(spec: &GraphSpec) -> Options {
    let identity = Identity::of(&spec.processors, Path::new("/"));
    let mut options = Options::new(identity.host, env!("CARGO_PKG_VERSION"));
    options.node = identity.node;
    options.instance = identity.instance;
    options.tap_line = Some(Arc::new(tap::line));
    options.memory_used = Some(Arc::new(|of_bytes| {
        memory::used_bytes(Path::new("/proc"), Path::new("/sys/fs/cgroup"), of_bytes)
    }));
    options.relieve = Some(Arc::new(tapetum_probes::loader::release));
    // `/metrics` speaks what the exporter of that name speaks.
    let agent = Agent {
        cluster: spec.service.cluster.as_str().into(),
        node: options.node.as_str().into(),
        host: options.host.as_str().into(),
        instance: options.instance.as_str().into(),
        version: options.version.into(),
    };
    options.render = Some(Arc::new(move |batches, accept| {
        let points = batches.iter().filter_map(|batch| match &batch.payload {
            Payload::Points(points) => Some(points.clone()),
            _ => None,
        });
        let points = points.flatten().collect();
        let accept = accept.unwrap_or_default();
        let (content_type, page) = prometheus::render(points, &agent, accept, false);
        (content_type.to_owned(), page)
    }));
    options
}
