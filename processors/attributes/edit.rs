//! What an action does to a list of attributes.

use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use tapetum_otlp::edit::{Any, Level, Pair};

use super::config::ActionConfig;

/// One action on one attribute.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) attribute: String,
    pub(super) what: What,
    /// Only there; without it an insert is into the resource and the others are wherever it is.
    on: Option<Level>,
}

/// What is done.
#[derive(Debug)]
pub(super) enum What {
    /// If it is not there.
    Insert(String),
    /// If it is there.
    Update(String),
    Delete,
    Hash(SipHasher24),
    Rename(String),
}

impl Action {
    /// Which key is wrong, and why, if it is.
    pub(super) fn new(config: &ActionConfig, salt: &str) -> Result<Self, (&'static str, String)> {
        let needs = |key: &'static str, of: &Option<String>| {
            let missing = || (key, format!("`{}` needs a `{key}`", config.what));
            of.clone().ok_or_else(missing)
        };
        let what = match config.what.as_str() {
            "insert" => What::Insert(needs("value", &config.value)?),
            "update" => What::Update(needs("value", &config.value)?),
            "delete" => What::Delete,
            "hash" => What::Hash(keyed(salt)),
            _ => What::Rename(needs("to", &config.to)?),
        };
        let takes_value = matches!(what, What::Insert(_) | What::Update(_));
        if config.value.is_some() && !takes_value {
            return Err((
                "value",
                format!("`{}` has no use for a `value`", config.what),
            ));
        }
        if config.to.is_some() && !matches!(what, What::Rename(_)) {
            return Err(("to", format!("`{}` has no use for a `to`", config.what)));
        }
        Ok(Self {
            attribute: config.attribute.clone(),
            on: match config.on.as_deref() {
                Some("resource") => Some(Level::Resource),
                Some(_) => Some(Level::Item),
                None => None,
            },
            what,
        })
    }

    /// Whether it is for attributes of this level.
    pub(super) fn is_on(&self, level: Level) -> bool {
        let wanted = match (&self.what, self.on) {
            (What::Insert(_), None) => Some(Level::Resource),
            (_, on) => on,
        };
        wanted.is_none_or(|wanted| wanted == level)
    }
}

/// A value as 32 digits: the same value is the same digits, under the same salt.
pub(super) fn hashed(hasher: &SipHasher24, value: &[u8]) -> String {
    let mut hasher = *hasher;
    hasher.write(value);
    format!("{:032x}", hasher.finish128().as_u128())
}

fn keyed(salt: &str) -> SipHasher24 {
    let mut key = SipHasher24::new();
    key.write(salt.as_bytes());
    SipHasher24::new_with_key(&key.finish128().as_bytes())
}

/// Does all actions on the attributes of one message; whether one changed something.
pub(super) fn pairs(actions: &[Action], level: Level, pairs: &mut Vec<Pair<'_>>) -> bool {
    let mut changed = false;
    for action in actions.iter().filter(|action| action.is_on(level)) {
        changed |= one(action, pairs);
    }
    changed
}

fn one(action: &Action, pairs: &mut Vec<Pair<'_>>) -> bool {
    let name = action.attribute.as_str();
    let at = pairs.iter().position(|pair| pair.key() == name);
    match (&action.what, at) {
        (What::Insert(value), None) => pairs.push(Pair::text(name.to_owned(), value)),
        (What::Update(value), Some(at)) if pairs[at].value() != Any::Text(value) => {
            pairs[at] = Pair::text(name.to_owned(), value);
        }
        (What::Delete, Some(_)) => pairs.retain(|pair| pair.key() != name),
        (What::Hash(hasher), Some(at)) => {
            let text = match pairs[at].value() {
                Any::Text(text) => hashed(hasher, text.as_bytes()),
                // Of what is no text the bytes that say it: the same value is the same bytes.
                _ => hashed(hasher, pairs[at].encoded()),
            };
            pairs[at] = Pair::text(name.to_owned(), &text);
        }
        (What::Rename(to), Some(at)) if to != name => {
            let renamed = pairs.remove(at).renamed(to.clone());
            pairs.retain(|pair| pair.key() != to);
            pairs.push(renamed);
        }
        _ => return false,
    }
    true
}
