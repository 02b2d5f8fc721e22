//! Edits attributes: puts in, changes, takes away, hides behind a hash, renames.
//!
//! It promises: actions are done in the order of the file; a request that none of them changes stays the very bytes
//! that came, and of others everything that is not an attribute does. Of connections it edits what is known of the near end, once an
//! entity and not once a row. It takes no metric points of Tapetum's own: without an attribute two series could
//! become one, and neither would be right; edit before `aggregate` instead.

mod config;
mod edit;
mod entities;
#[cfg(test)]
mod tests;

use tapetum_model::{Batch, Payload, Signal};
use tapetum_otlp::edit::rewrite;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Gives, Now, Output, Processor, Settings,
};

use self::config::Config;
use self::edit::Action;
use self::entities::Entities;

/// `attributes`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "attributes",
    summary: "inserts, updates, deletes, hashes and renames attributes of resources, spans, log records and data points",
    takes: &[
        Signal::Connections,
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
    ],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "actions = [{ do = \"insert\", attribute = \"deployment.environment.name\", value = \"production\" }]\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
struct Editor {
    actions: Vec<Action>,
    entities: Entities,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let salt = config.salt.unwrap_or_default();
    let actions = config.actions.iter();
    let actions = actions.map(|action| Action::new(action, &salt));
    let actions = actions.collect::<Result<_, _>>();
    Ok(Box::new(Editor {
        actions: actions.map_err(|(_, message)| BuildError::new(message))?,
        entities: Entities::default(),
    }))
}

impl Processor for Editor {
    fn process(&mut self, mut batch: Batch, _: Now, out: &mut Output) {
        match &mut batch.payload {
            Payload::Records(records) => {
                let rows = records.as_rows_mut();
                for row in 0..rows.rows() {
                    if let Some(entity) = &mut rows.ends_mut(row).0.entity {
                        self.entities.edit(entity, &self.actions);
                    }
                }
            }
            Payload::Otlp(otlp) => {
                let request = otlp.bytes.contiguous();
                let edited = rewrite(otlp.signal, &request, &mut |level, pairs| {
                    edit::pairs(&self.actions, level, pairs)
                });
                // A receiver refuses what cannot be read; what comes here all the same goes on as it is.
                if let Ok(Some(bytes)) = edited {
                    otlp.bytes = bytes.into();
                }
            }
            Payload::Points(_) => {}
        }
        out.send(batch);
    }
}
