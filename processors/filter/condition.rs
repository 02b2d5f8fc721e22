//! Rules, and the conditions that they are made of.

use std::net::IpAddr;

use tapetum_model::Signal;

use super::config::{ConditionConfig, RuleConfig};
use super::look::{Looked, Name, Seen};
use crate::cidr::Cidr;

/// Holds for an item if all that it says holds.
#[derive(Debug)]
pub(super) struct Rule {
    signal: Option<Signal>,
    kind: Option<String>,
    name: Option<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    name: Name,
    test: Test,
    not: bool,
}

#[derive(Debug)]
enum Test {
    Present,
    Equal(String),
    Prefix(String),
    Cidr(Cidr),
    /// Both ends are of it.
    Range(f64, f64),
}

/// What is wrong with a rule, and with which of its keys.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: Vec<String>,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

impl Rule {
    pub(super) fn new(config: &RuleConfig) -> Result<Self, Fault> {
        let mut conditions = Vec::new();
        for (at, one) in config.conditions.iter().enumerate() {
            let condition = Condition::new(one).map_err(|(key, message, hint)| Fault {
                path: vec!["where".to_owned(), at.to_string(), key.to_owned()],
                message,
                hint,
            });
            conditions.push(condition?);
        }
        let rule = Self {
            signal: config.signal.as_deref().and_then(signal),
            kind: config.kind.clone(),
            name: config.name.clone(),
            conditions,
        };
        if rule.conditions.is_empty()
            && rule.signal.is_none()
            && rule.kind.is_none()
            && rule.name.is_none()
        {
            return Err(Fault {
                path: Vec::new(),
                message: "the rule says nothing, so it would hold for everything".to_owned(),
                hint: "give it a `signal`, a `kind`, a `name` or a `where`",
            });
        }
        Ok(rule)
    }

    /// Whether it may hold for an item of this signal.
    pub(super) fn is_of(&self, signal: Signal) -> bool {
        self.signal.is_none_or(|own| own == signal)
    }

    pub(super) fn holds(&self, signal: Signal, item: &dyn Looked) -> bool {
        let is_it = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.is_of(signal)
            && (self.kind.is_none() || is_it(&self.kind, item.kind()))
            && (self.name.is_none() || is_it(&self.name, item.name()))
            && self.conditions.iter().all(|one| one.holds(item))
    }
}

type Wrong = (&'static str, String, &'static str);

impl Condition {
    fn new(config: &ConditionConfig) -> Result<Self, Wrong> {
        let mut tests = Vec::new();
        if let Some(text) = &config.equal {
            tests.push(("equal", Test::Equal(text.clone())));
        }
        if let Some(text) = &config.prefix {
            tests.push(("prefix", Test::Prefix(text.clone())));
        }
        if let Some(text) = &config.cidr {
            let hint = "write for example \"10.0.0.0/8\"";
            let cidr = Cidr::parse(text).map_err(|why| ("cidr", why.to_string(), hint))?;
            tests.push(("cidr", Test::Cidr(cidr)));
        }
        if let Some(text) = &config.range {
            tests.push(("range", range(text)?));
        }
        let mut tests = tests.into_iter();
        let first = tests.next();
        if let Some((key, _)) = tests.next() {
            let message = "a condition tests one thing".to_owned();
            return Err((
                key,
                message,
                "make a second condition of it: all of a rule must hold",
            ));
        }
        Ok(Self {
            name: Name::new(&config.attribute),
            test: first.map_or(Test::Present, |(_, test)| test),
            not: config.not,
        })
    }

    fn holds(&self, item: &dyn Looked) -> bool {
        let seen = item.attribute(&self.name);
        seen.is_some_and(|seen| self.test.holds(&seen)) != self.not
    }
}

impl Test {
    fn holds(&self, seen: &Seen<'_>) -> bool {
        match (self, seen) {
            (Self::Present, _) => true,
            (Self::Equal(text), Seen::Text(seen)) => **seen == **text,
            (Self::Equal(text), Seen::Int(seen)) => text.parse() == Ok(*seen),
            (Self::Equal(text), Seen::Number(seen)) => text.parse() == Ok(*seen),
            (Self::Equal(text), Seen::Bool(seen)) => text.parse() == Ok(*seen),
            (Self::Equal(text), Seen::Address(seen)) => text.parse() == Ok(*seen),
            (Self::Prefix(text), Seen::Text(seen)) => seen.starts_with(text.as_str()),
            (Self::Prefix(text), Seen::Address(seen)) => seen.to_string().starts_with(text),
            (Self::Cidr(cidr), Seen::Address(seen)) => cidr.contains(*seen),
            (Self::Cidr(cidr), Seen::Text(seen)) => {
                seen.parse::<IpAddr>().is_ok_and(|seen| cidr.contains(seen))
            }
            (Self::Range(from, to), Seen::Int(seen)) => (*from..=*to).contains(&(*seen as f64)),
            (Self::Range(from, to), Seen::Number(seen)) => (*from..=*to).contains(seen),
            (Self::Range(from, to), Seen::Text(seen)) => seen
                .parse()
                .is_ok_and(|seen: f64| (*from..=*to).contains(&seen)),
            (Self::Prefix(_) | Self::Cidr(_) | Self::Range(..), _) => false,
        }
    }
}

/// `1..1023`, `1024..`, `..0.5`: both ends are of it.
fn range(text: &str) -> Result<Test, Wrong> {
    let hint = "write for example \"1..1023\", \"1024..\" or \"..0.5\"; both ends are of it";
    let wrong = || ("range", format!("`{text}` is not a range of numbers"), hint);
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let end = |text: &str, open: f64| match text.trim() {
        "" => Ok(open),
        text => text
            .parse::<f64>()
            .ok()
            .filter(|end| end.is_finite())
            .ok_or_else(wrong),
    };
    let (from, to) = (end(from, f64::NEG_INFINITY)?, end(to, f64::INFINITY)?);
    if from > to {
        return Err(("range", format!("`{text}` ends before it begins"), hint));
    }
    Ok(Test::Range(from, to))
}

fn signal(name: &str) -> Option<Signal> {
    Some(match name {
        "connections" => Signal::Connections,
        "points" => Signal::Points,
        "traces" => Signal::Traces,
        "metrics" => Signal::Metrics,
        "logs" => Signal::Logs,
        _ => return None,
    })
}
