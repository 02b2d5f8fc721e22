//! Leaves out what nobody wants to pay for, by what it is and what it says.
//!
//! It promises: what is left out is counted, by the list that left it out; an OTLP request of which nothing is left out
//! stays the very bytes that came, and of others the rest does. Rows are looked at through the table of their
//! kind, so a new kind of record can be filtered without a change here.

mod condition;
mod config;
mod look;
#[cfg(test)]
mod tests;

use tapetum_model::{Batch, Otlp, Payload, Signal};
use tapetum_otlp::edit;
use tapetum_pipeline::{
    Build, BuildError, Component, Context, Gives, Now, Output, Processor, Settings,
};

use self::condition::Rule;
use self::config::Config;
use self::look::{Looked, Row};

/// `filter`, as a file names it.
pub static COMPONENT: Component = Component {
    name: "filter",
    summary: "leaves out connections, points, spans and log records by signal, kind and attributes",
    takes: &[
        Signal::Connections,
        Signal::Points,
        Signal::Traces,
        Signal::Metrics,
        Signal::Logs,
    ],
    gives: Gives::Same,
    options: config::OPTIONS,
    metrics: &[],
    example: "drop = [{ signal = \"connections\", where = [{ attribute = \"server.port\", range = \"9000..9100\" }] }]\n",
    check: config::check,
    bound: config::bound,
    build: Build::Processor(build),
};

/// See the module.
struct Filter {
    keep: Vec<Rule>,
    drop: Vec<Rule>,
}

/// Why an item is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    NotKept,
    Dropped,
}

/// How many were left out, by why.
#[derive(Default)]
struct Count {
    not_kept: u64,
    dropped: u64,
}

fn build(settings: &Settings, _: &Context) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = settings
        .read()
        .map_err(|why| BuildError::new(why.to_string()))?;
    let rules = |rules: &[config::RuleConfig]| -> Result<Vec<Rule>, BuildError> {
        let rules = rules.iter().map(Rule::new);
        rules
            .collect::<Result<_, _>>()
            .map_err(|fault| BuildError::new(fault.message))
    };
    Ok(Box::new(Filter {
        keep: rules(&config.keep)?,
        drop: rules(&config.drop)?,
    }))
}

impl Filter {
    /// What happens to an item; `None`: it goes on.
    fn judge(&self, signal: Signal, item: &dyn Looked) -> Option<Left> {
        let is_any = |rules: &[Rule]| rules.iter().any(|rule| rule.holds(signal, item));
        if !self.keep.is_empty() && !is_any(&self.keep) {
            return Some(Left::NotKept);
        }
        is_any(&self.drop).then_some(Left::Dropped)
    }

    /// Whether any rule may speak of this signal: bytes that no rule speaks of are not looked into.
    fn speaks_of(&self, signal: Signal) -> bool {
        !self.keep.is_empty() || self.drop.iter().any(|rule| rule.is_of(signal))
    }

    fn request(&self, signal: Signal, otlp: &mut Otlp) -> Count {
        let mut count = Count::default();
        let request = otlp.bytes.contiguous();
        let kept = edit::retain(otlp.signal, &request, &mut |item| {
            let left = self.judge(signal, item);
            count.note(left);
            left.is_none()
        });
        match kept {
            Ok(None) => Count::default(),
            Ok(Some((bytes, _))) => {
                // Whoever counted it first is believed: the books follow what is said here.
                otlp.items = otlp.items.saturating_sub(count.not_kept + count.dropped);
                otlp.bytes = bytes.into();
                count
            }
            // A receiver refuses what cannot be read; what comes here all the same goes on as it is.
            Err(edit::Unreadable) => Count::default(),
        }
    }
}

impl Count {
    fn note(&mut self, left: Option<Left>) {
        match left {
            Some(Left::NotKept) => self.not_kept += 1,
            Some(Left::Dropped) => self.dropped += 1,
            None => {}
        }
    }
}

impl Processor for Filter {
    fn process(&mut self, mut batch: Batch, _: Now, out: &mut Output) {
        let signal = batch.signal();
        if !self.speaks_of(signal) {
            out.send(batch);
            return;
        }
        let mut count = Count::default();
        match &mut batch.payload {
            Payload::Records(records) => {
                let rows = records.as_rows_mut();
                let judged: Vec<_> = (0..rows.rows())
                    .map(|row| self.judge(signal, &Row { rows, row }))
                    .collect();
                judged.iter().for_each(|left| count.note(*left));
                rows.retain(&mut |row| judged[row].is_none());
            }
            Payload::Points(points) => points.retain(|point| {
                let left = self.judge(signal, point);
                count.note(left);
                left.is_none()
            }),
            Payload::Otlp(otlp) => count = self.request(signal, otlp),
        }
        out.filter("not_kept", count.not_kept);
        out.filter("dropped_by_filter", count.dropped);
        if batch.items() > 0 || count.not_kept + count.dropped == 0 {
            out.send(batch);
        }
    }
}
