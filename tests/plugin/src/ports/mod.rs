//! Keeps the connections to some server ports: whoever runs databases wants to see those alone.
//!
//! It promises: what does not go on is counted, and a batch that becomes empty goes on, since it
//! carries what was lost on the way to it.

mod config;
#[cfg(test)]
mod tests;

use tapetum::model::{Attr, Batch, Payload, Rows, Signal, Value};
use tapetum::pipeline::{
    Build, BuildError, Component, Context, Gives, Now, Output, Processor, Settings,
};

use self::config::Config;

/// `ports`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "ports",
    summary: "keeps the connections to some server ports",
    takes: &[Signal::Connections],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "keep = [5432, 6379]\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
struct Ports {
    keep: Vec<i64>,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    Ok(Box::new(Ports { keep: config.keep }))
}

impl Processor for Ports {
    fn process(&mut self, mut batch: Batch, _: Now, out: &mut Output) {
        if let Payload::Records(records) = &mut batch.payload {
            let rows = records.as_rows_mut();
            let kept: Vec<bool> = (0..rows.rows()).map(|row| self.keeps(rows, row)).collect();
            rows.retain(&mut |row| kept[row]);
            let left_out = kept.iter().filter(|kept| !**kept).count();
            out.filter("port", left_out as u64);
        }
        out.send(batch);
    }
}

impl Ports {
    fn keeps(&self, rows: &dyn Rows, row: usize) -> bool {
        match rows.dimension(row, &Attr::ServerPort) {
            Some(Value::Int(port)) => self.keep.contains(&port),
            _ => false,
        }
    }
}
