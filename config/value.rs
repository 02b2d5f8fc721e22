//! One value against what may stand behind its key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tapetum_pipeline::{Duration, Opt, OptKind, Rate, Renewal, Size};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::finding::{Finding, Findings, Place};
use crate::secrecy::is_secret;
use crate::substitute::{Filled, fill};
use crate::syntax::{in_order, noun};
use crate::{Host, World, spelling};

mod address;

/// Reads the values of one source.
pub(crate) struct Reader<'a> {
    pub(crate) source: usize,
    pub(crate) text: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) world: &'a dyn World,
    /// Parts of the source are missing: what is absent is no error of its own.
    pub(crate) broken: bool,
    pub(crate) findings: &'a mut Findings,
    /// The keys down to the value that is being read.
    pub(crate) path: Vec<String>,
    /// How secrets that come out of files are read again.
    pub(crate) renewals: BTreeMap<Vec<String>, Renewal>,
}

impl Reader<'_> {
    pub(crate) fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    /// A table of known keys, with defaults filled in. Findings say what is missing from it.
    pub(crate) fn options(
        &mut self,
        known: &[&'static Opt],
        table: &DeTable<'_>,
        header: &Place,
    ) -> Table {
        let mut read = Table::new();
        for (key, span, value) in in_order(table) {
            if let Some(option) = known.iter().find(|option| option.key == key) {
                if let Some(value) = self.value_of(key, &option.kind, value) {
                    read.insert(key.to_owned(), value);
                }
            } else {
                let place = self.place(span);
                let hint = match known {
                    [] => Some("it has no keys: leave it out".to_owned()),
                    _ => spelling::hint(key, known.iter().map(|option| option.key)),
                };
                self.findings
                    .add(Finding::new(&place, format!("unknown key `{key}`")).hint_if(hint));
            }
        }
        for option in known {
            if table.contains_key(option.key) {
                continue;
            }
            if let Some(default) = option.default {
                read.insert(option.key.to_owned(), default_of(&option.kind, default));
            } else if !option.optional && !self.broken {
                let message = format!("`{}` is missing", option.key);
                let hint = format!("{}: {}", option.key, option.help);
                self.findings.add(Finding::new(header, message).hint(hint));
            }
        }
        read
    }

    /// The value behind a key.
    fn value_of(
        &mut self,
        key: &str,
        kind: &OptKind,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Value> {
        self.path.push(key.to_owned());
        let read = self.value(kind, value);
        self.path.pop();
        read
    }

    /// One value; `None` where a finding says why.
    pub(crate) fn value(&mut self, kind: &OptKind, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let place = self.place(value.span());
        match (kind, value.get_ref()) {
            (OptKind::List(inner), DeValue::Array(items)) => {
                let read: Vec<_> = items.iter().map(|item| self.value(inner, item)).collect();
                read.into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Array)
            }
            (OptKind::Map(inner), DeValue::Table(table)) => {
                let read: Vec<_> = in_order(table)
                    .into_iter()
                    .map(|(key, _, value)| {
                        Some((key.to_owned(), self.value_of(key, inner, value)?))
                    })
                    .collect();
                read.into_iter()
                    .collect::<Option<Table>>()
                    .map(Value::Table)
            }
            (OptKind::Table(options), DeValue::Table(table)) => {
                let known: Vec<&'static Opt> = options.iter().collect();
                Some(Value::Table(self.options(&known, table, &place)))
            }
            (OptKind::Bool, DeValue::Boolean(value)) => {
                self.show(kind, &place);
                Some(Value::Boolean(*value))
            }
            (OptKind::Integer { min, max }, DeValue::Integer(number)) => {
                self.show(kind, &place);
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                self.integer(number, (*min, *max), &place)
            }
            (_, DeValue::String(text)) => {
                let Some(filled) = self.fill(text, &place) else {
                    self.show(kind, &place);
                    return None;
                };
                // A login inside of an address is as secret as any other.
                if !(matches!(kind, OptKind::Url) && text.contains('@')) {
                    self.show(kind, &place);
                }
                if matches!(kind, OptKind::Secret) && text.contains("${file:") {
                    self.remember(text);
                }
                self.text(kind, filled, &place)
            }
            (_, other) => {
                self.show_all(kind, value);
                self.wrong_type(kind, other, &place);
                None
            }
        }
    }

    /// A value of this kind may be printed.
    fn show(&mut self, kind: &OptKind, place: &Place) {
        if !is_secret(kind) {
            self.findings.open.insert(place.clone());
        }
    }

    fn show_all(&mut self, kind: &OptKind, value: &Spanned<DeValue<'_>>) {
        self.show(kind, &self.place(value.span()));
        match value.get_ref() {
            DeValue::Array(items) => items.iter().for_each(|item| self.show_all(kind, item)),
            DeValue::Table(table) => table.values().for_each(|value| self.show_all(kind, value)),
            _ => {}
        }
    }

    /// A secret comes out of a file, which may be replaced while the component runs.
    fn remember(&mut self, text: &str) {
        let (text, folder) = (text.to_owned(), self.folder.to_owned());
        let again = move || fill(&text, &folder, &Host).ok().map(|filled| filled.text);
        self.renewals.insert(self.path.clone(), Arc::new(again));
    }

    fn fill(&mut self, text: &str, place: &Place) -> Option<Filled> {
        match fill(text, self.folder, self.world) {
            Ok(filled) => Some(filled),
            Err(faults) => {
                // With escapes in it, a text's bytes are not those of the source: then the whole
                // value is the place.
                let raw = &self.text[place.span.0..place.span.1];
                let offset = raw.find(text).map(|at| place.span.0 + at);
                for fault in faults {
                    let place = offset.map_or_else(
                        || place.clone(),
                        |start| self.place(start + fault.span.start..start + fault.span.end),
                    );
                    self.findings
                        .add(Finding::new(&place, fault.message).hint(fault.hint));
                }
                None
            }
        }
    }

    fn text(&mut self, kind: &OptKind, filled: Filled, place: &Place) -> Option<Value> {
        let text = filled.text.as_str();
        let right = match kind {
            OptKind::Text | OptKind::Secret => true,
            OptKind::Path if text.is_empty() => false,
            OptKind::Path => {
                let path = self.folder.join(text).to_string_lossy().into_owned();
                return Some(Value::String(path));
            }
            OptKind::Duration => Duration::parse(text).is_ok(),
            OptKind::Size => Size::parse(text).is_ok(),
            OptKind::Rate => Rate::parse(text).is_ok(),
            OptKind::Listen => address::is_listen(text),
            OptKind::Url => address::is_url(text),
            OptKind::Choice(words) if words.contains(&text) => true,
            OptKind::Choice(words) => {
                let message = self.quoted(kind, &filled, "is not one of the words for it");
                let hint = match spelling::nearest(text, words.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("write one of: {}", words.join(", ")),
                };
                self.findings.add(Finding::new(place, message).hint(hint));
                return None;
            }
            // A number or a boolean may come from outside the file, where all is text.
            OptKind::Integer { min, max } if filled.from_outside => {
                return self.integer(text.parse().ok(), (*min, *max), place);
            }
            OptKind::Bool if filled.from_outside => match text {
                "true" => return Some(Value::Boolean(true)),
                "false" => return Some(Value::Boolean(false)),
                _ => false,
            },
            _ => {
                self.wrong_type(kind, &DeValue::String(text.into()), place);
                return None;
            }
        };
        if right {
            return Some(Value::String(filled.text));
        }
        let message = self.quoted(kind, &filled, &format!("is not {}", expected(kind)));
        self.findings
            .add(Finding::new(place, message).hint(example(kind)));
        None
    }

    /// A sentence about a text, with the text only if it may be shown.
    fn quoted(&self, kind: &OptKind, filled: &Filled, what: &str) -> String {
        if filled.from_outside {
            format!("what is filled in here {what}")
        } else if self.broken || (matches!(kind, OptKind::Url) && filled.text.contains('@')) {
            format!("this {what}")
        } else {
            format!("`{}` {what}", filled.text)
        }
    }

    fn integer(
        &mut self,
        number: Option<i64>,
        (min, max): (i64, i64),
        place: &Place,
    ) -> Option<Value> {
        match number {
            Some(number) if (min..=max).contains(&number) => Some(Value::Integer(number)),
            _ => {
                let message = match (min, max) {
                    (_, i64::MAX) => format!("expected a whole number, {min} or more"),
                    _ => format!("expected a whole number from {min} to {max}"),
                };
                self.findings.add(Finding::new(place, message));
                None
            }
        }
    }

    fn wrong_type(&mut self, kind: &OptKind, found: &DeValue<'_>, place: &Place) {
        let message = format!("expected {}, found {}", expected(kind), noun(found));
        self.findings
            .add(Finding::new(place, message).hint(example(kind)));
    }
}

/// A component's own default: that it is right is tested for every component.
fn default_of(kind: &OptKind, default: &str) -> Value {
    match (kind, parsed(default)) {
        (OptKind::Table(options), Value::Table(table)) => Value::Table(filled_up(options, table)),
        (_, value) => value,
    }
}

/// A table with the defaults of the keys that it lacks.
pub(crate) fn filled_up(options: &[Opt], mut table: Table) -> Table {
    for option in options {
        if let (None, Some(default)) = (table.get(option.key), option.default) {
            table.insert(option.key.to_owned(), default_of(&option.kind, default));
        }
    }
    table
}

fn expected(kind: &OptKind) -> &'static str {
    match kind {
        OptKind::Duration => "a duration",
        OptKind::Size => "a size",
        OptKind::Integer { .. } => "a whole number",
        OptKind::Rate => "a rate",
        OptKind::Bool => "a boolean",
        OptKind::Text => "a text",
        OptKind::Secret => "a text (a secret)",
        OptKind::Path => "a path",
        OptKind::Listen => "an address to listen on",
        OptKind::Url => "a URL",
        OptKind::Choice(_) => "a word",
        OptKind::List(_) => "a list",
        OptKind::Map(_) | OptKind::Table(_) => "a table",
    }
}

fn example(kind: &OptKind) -> String {
    match kind {
        OptKind::Duration => "write for example \"250ms\", \"10s\", \"5m\" or \"1h\"".to_owned(),
        OptKind::Size => "write for example \"64KiB\", \"16MiB\", \"1GiB\" or \"4MB\"".to_owned(),
        OptKind::Integer { .. } => "write the number without quotes".to_owned(),
        OptKind::Rate => "write for example \"5%\"".to_owned(),
        OptKind::Bool => "write true or false, without quotes".to_owned(),
        OptKind::Text | OptKind::Path | OptKind::Secret => "write it in quotes".to_owned(),
        OptKind::Listen => "write for example \"127.0.0.1:9464\" or \"[::]:9464\"".to_owned(),
        OptKind::Url => "write for example \"http://collector:4317\", without a login".to_owned(),
        OptKind::Choice(words) => format!("write one of: {}", words.join(", ")),
        OptKind::List(_) => "write for example [\"a\", \"b\"]".to_owned(),
        OptKind::Map(_) | OptKind::Table(_) => "write for example { key = \"value\" }".to_owned(),
    }
}

/// A default as its value; one that is not TOML is a text.
fn parsed(default: &str) -> Value {
    let document: Option<Table> = toml::from_str(&format!("value = {default}")).ok();
    document
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(default.to_owned()))
}
