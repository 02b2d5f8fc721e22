//! Looks at, leaves out and rewrites parts of an OTLP request of somebody else's, without decoding the rest: what is
//! not touched stays the bytes that it was, also what a newer sender says that nobody here knows.
//!
//! A request is parted into resources, scopes and items (spans, log records, data points). [`retain`]
//! leaves items out, and what is then empty around them; [`rewrite`] exchanges lists of attributes.

mod attributes;
mod fields;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tapetum_model::OtlpSignal;

pub use attributes::{Any, Attributes, Pair};
use fields::{Field, Fields, put};

/// The request cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is not OTLP")]
pub struct Unreadable;

/// A span, a log record or a data point, with what stands around it.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    signal: OtlpSignal,
    message: &'a [u8],
    /// Of a data point: the metric.
    metric: Option<&'a [u8]>,
    own: Attributes<'a>,
    scope: Attributes<'a>,
    resource: Attributes<'a>,
}

/// Whose attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Of a resource.
    Resource,
    /// Of a scope.
    Scope,
    /// Of a span, a log record or a data point.
    Item,
}

/// What became of a message of some level.
enum Became {
    /// It is as it was.
    Same,
    /// It is this now.
    Other(Vec<u8>),
    /// Nothing is left of it.
    Gone,
}

const SPAN_NAME: u32 = 5;
const SPAN_KIND: u32 = 6;
const METRIC_NAME: u32 = 1;
/// Of a metric: gauge, sum, histogram, exponential histogram, summary; and the attributes of their points.
const DATA: [(u32, u32); 5] = [(5, 7), (7, 7), (9, 9), (10, 1), (11, 7)];
const KINDS: [&str; 6] = [
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
];

impl<'a> Item<'a> {
    /// The value of an attribute: its own, else its scope's, else its resource's.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Any<'a>> {
        let all = [self.own, self.scope, self.resource];
        all.into_iter()
            .find_map(|attributes| attributes.value(name))
    }

    /// A span's kind: `client`, `server` and so on.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        if self.signal != OtlpSignal::Traces {
            return None;
        }
        let number = Fields(self.message).number(SPAN_KIND).unwrap_or(0);
        KINDS.get(usize::try_from(number).ok()?).copied()
    }

    /// A span's or a metric's name.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        let name = match (self.signal, self.metric) {
            (OtlpSignal::Traces, _) => Fields(self.message).inner(SPAN_NAME),
            (OtlpSignal::Metrics, Some(metric)) => Fields(metric).inner(METRIC_NAME),
            _ => return None,
        };
        std::str::from_utf8(name.unwrap_or_default()).ok()
    }
}

/// Keeps the items for which `keep` is true: the request without the others and how many are left, or `None`
/// if nothing had to be left out.
///
/// # Errors
/// It cannot be read.
pub fn retain(
    signal: OtlpSignal,
    request: &[u8],
    keep: &mut dyn FnMut(&Item<'_>) -> bool,
) -> Result<Option<(Bytes, u64)>, Unreadable> {
    let mut left = 0;
    let mut retainer = Retainer {
        signal,
        keep,
        left: &mut left,
    };
    let became = children(request, &[1], &mut |resource| {
        retainer.resource(resource.inner)
    })?;
    Ok(match became {
        Became::Same => None,
        Became::Gone => Some((Bytes::new(), 0)),
        Became::Other(bytes) => Some((bytes.into(), left)),
    })
}

struct Retainer<'a> {
    signal: OtlpSignal,
    keep: &'a mut dyn FnMut(&Item<'_>) -> bool,
    left: &'a mut u64,
}

impl Retainer<'_> {
    fn resource(&mut self, message: &[u8]) -> Result<Became, Unreadable> {
        let own = Fields(message).inner(1).unwrap_or_default();
        let resource = Attributes::of(own, 1);
        children(message, &[2], &mut |scope| {
            self.scope(scope.inner, resource)
        })
    }

    fn scope(&mut self, message: &[u8], resource: Attributes<'_>) -> Result<Became, Unreadable> {
        let own = Fields(message).inner(1).unwrap_or_default();
        let scope = Attributes::of(own, 3);
        children(message, &[2], &mut |item| match self.signal {
            OtlpSignal::Metrics => self.metric(item.inner, scope, resource),
            OtlpSignal::Traces => Ok(self.item(item.inner, 9, None, scope, resource)),
            OtlpSignal::Logs => Ok(self.item(item.inner, 6, None, scope, resource)),
        })
    }

    fn metric(
        &mut self,
        message: &[u8],
        scope: Attributes<'_>,
        resource: Attributes<'_>,
    ) -> Result<Became, Unreadable> {
        children(message, &DATA.map(|(number, _)| number), &mut |data| {
            let attributes = attributes_of(data.number);
            children(data.inner, &[1], &mut |point| {
                Ok(self.item(point.inner, attributes, Some(message), scope, resource))
            })
        })
    }

    fn item(
        &mut self,
        message: &[u8],
        attributes: u32,
        metric: Option<&[u8]>,
        scope: Attributes<'_>,
        resource: Attributes<'_>,
    ) -> Became {
        let kept = (self.keep)(&Item {
            signal: self.signal,
            message,
            metric,
            own: Attributes::of(message, attributes),
            scope,
            resource,
        });
        *self.left += u64::from(kept);
        if kept { Became::Same } else { Became::Gone }
    }
}

/// Where a data point of this kind of metric has its attributes.
fn attributes_of(data: u32) -> u32 {
    let known = DATA.iter().find(|(number, _)| *number == data);
    known.map_or(7, |(_, attributes)| *attributes)
}

/// Lets `edit` change every list of attributes: it is given the pairs and says whether it changed them. The
/// request with them, or `None` if nothing was changed.
///
/// # Errors
/// It cannot be read.
pub fn rewrite(
    signal: OtlpSignal,
    request: &[u8],
    edit: &mut dyn FnMut(Level, &mut Vec<Pair<'_>>) -> bool,
) -> Result<Option<Bytes>, Unreadable> {
    let became = children(request, &[1], &mut |resource| {
        let whole = with_resource(resource.inner, edit)?;
        let message = whole.as_deref().unwrap_or(resource.inner);
        let became = children(message, &[1, 2], &mut |part| match part.number {
            1 if whole.is_some() => Ok(Became::Same),
            1 => list(part.inner, 1, Level::Resource, edit),
            _ => children(
                part.inner,
                &[1, 2],
                &mut |part| match (part.number, signal) {
                    (1, _) => list(part.inner, 3, Level::Scope, edit),
                    (_, OtlpSignal::Traces) => list(part.inner, 9, Level::Item, edit),
                    (_, OtlpSignal::Logs) => list(part.inner, 6, Level::Item, edit),
                    (_, OtlpSignal::Metrics) => {
                        children(part.inner, &DATA.map(|(number, _)| number), &mut |data| {
                            let attributes = attributes_of(data.number);
                            children(data.inner, &[1], &mut |point| {
                                list(point.inner, attributes, Level::Item, edit)
                            })
                        })
                    }
                },
            ),
        })?;
        Ok(match (became, whole) {
            (Became::Same, Some(whole)) => Became::Other(whole),
            (became, _) => became,
        })
    })?;
    Ok(match became {
        Became::Same => None,
        Became::Gone => Some(Bytes::new()),
        Became::Other(bytes) => Some(bytes.into()),
    })
}

/// A message of a resource's that says no resource, with one, if `edit` puts something into it.
fn with_resource(
    message: &[u8],
    edit: &mut dyn FnMut(Level, &mut Vec<Pair<'_>>) -> bool,
) -> Result<Option<Vec<u8>>, Unreadable> {
    if Fields(message).inner(1).is_some() {
        return Ok(None);
    }
    let Became::Other(resource) = list(&[], 1, Level::Resource, edit)? else {
        return Ok(None);
    };
    let mut whole = Vec::with_capacity(message.len() + resource.len() + 8);
    put(&mut whole, 1, &resource);
    whole.extend_from_slice(message);
    Ok(Some(whole))
}

/// A message whose field `number` is a list of attributes.
fn list(
    message: &[u8],
    number: u32,
    level: Level,
    edit: &mut dyn FnMut(Level, &mut Vec<Pair<'_>>) -> bool,
) -> Result<Became, Unreadable> {
    let mut pairs = Attributes::of(message, number).pairs()?;
    if !edit(level, &mut pairs) {
        return Ok(Became::Same);
    }
    let mut other = Vec::with_capacity(message.len() + 64);
    for field in Fields(message) {
        let field = field?;
        if field.number != number {
            other.extend_from_slice(field.raw);
        }
    }
    for pair in &pairs {
        pair.write(number, &mut other);
    }
    Ok(Became::Other(other))
}

/// Asks what becomes of each part of a message. It is gone if it had parts and none is left.
fn children(
    message: &[u8],
    numbers: &[u32],
    ask: &mut dyn FnMut(&Part<'_>) -> Result<Became, Unreadable>,
) -> Result<Became, Unreadable> {
    let mut other: Option<Vec<u8>> = None;
    let (mut done, mut left, mut gone) = (0, false, false);
    for field in Fields(message) {
        let Field { number, raw, inner } = field?;
        let became = match inner {
            Some(inner) if numbers.contains(&number) => ask(&Part { number, inner })?,
            _ => {
                done += raw.len();
                if let Some(other) = &mut other {
                    other.extend_from_slice(raw);
                }
                continue;
            }
        };
        if other.is_none() && !matches!(became, Became::Same) {
            let mut begun = Vec::with_capacity(message.len());
            begun.extend_from_slice(&message[..done]);
            other = Some(begun);
        }
        done += raw.len();
        left |= !matches!(became, Became::Gone);
        gone |= matches!(became, Became::Gone);
        match (became, &mut other) {
            (Became::Same, Some(other)) => other.extend_from_slice(raw),
            (Became::Other(inner), Some(other)) => put(other, number, &inner),
            _ => {}
        }
    }
    Ok(match other {
        None => Became::Same,
        Some(_) if gone && !left => Became::Gone,
        Some(other) => Became::Other(other),
    })
}

/// A part of a message.
struct Part<'a> {
    number: u32,
    inner: &'a [u8],
}
