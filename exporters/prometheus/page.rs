//! A page of metrics, written piece by piece: a scraper that reads slowly holds the points, not the
//! text that is made of them.

use std::sync::Arc;

use hashbrown::{HashMap, hash_map::Entry};
use tapetum_model::{Attributes, ExponentialHistogram, Instrument, Metric, Point, PointValue};
use tapetum_otlp::Agent;

use super::negotiate::Format;
use super::{protobuf, text};

/// Pieces are handed out when they are about this long.
const PIECE_BYTES: usize = 32 << 10;

/// What to say, and how. An iterator over the pieces of the page.
pub struct Page {
    format: Format,
    created: bool,
    agent: Agent,
    /// Families, and of each its series, in the order in which they are written.
    families: Vec<(Metric, Vec<Point>)>,
    at: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Family(usize, usize),
    End,
}

impl Page {
    /// A page of these points. Points of one series, from two pipelines, become one; series that have
    /// ended are left out.
    pub fn new(
        points: impl IntoIterator<Item = Point>,
        agent: Agent,
        format: Format,
        created: bool,
    ) -> Self {
        let mut series: HashMap<(Metric, Arc<Attributes>), usize> = HashMap::new();
        let mut distinct: Vec<Point> = Vec::new();
        for point in points {
            if point.value == PointValue::Ended {
                continue;
            }
            match series.entry((point.metric, Arc::clone(&point.attributes))) {
                Entry::Occupied(known) => join(&mut distinct[*known.get()], point),
                Entry::Vacant(place) => {
                    place.insert(distinct.len());
                    distinct.push(point);
                }
            }
        }
        drop(series);
        distinct.sort_by_key(|point| point.metric);
        let mut families: Vec<(Metric, Vec<Point>)> = Vec::new();
        for point in distinct {
            match families.last_mut() {
                Some((metric, points)) if *metric == point.metric => points.push(point),
                _ => families.push((point.metric, vec![point])),
            }
        }
        Self {
            format,
            created,
            agent,
            families,
            at: Place::Head,
        }
    }

    /// What to call its bytes in a response.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.format.content_type()
    }

    /// Writes the next part and moves on behind it.
    fn step(&mut self, out: &mut Vec<u8>) {
        let protobuf = self.format == Format::Protobuf;
        match self.at {
            Place::Head if protobuf => protobuf::target(out, &self.agent),
            Place::Head => text::target(out, self.format, &self.agent),
            Place::Family(family, series) => {
                let (metric, points) = &self.families[family];
                if protobuf {
                    protobuf::family(out, *metric, points);
                } else {
                    if series == 0 {
                        text::head(out, self.format, *metric);
                    }
                    text::series(out, self.format, self.created, &points[series]);
                }
            }
            Place::End => {}
        }
        self.at = self.following(protobuf);
        if self.at == Place::End && self.format.is_open_metrics() {
            out.extend_from_slice(b"# EOF\n");
        }
    }

    fn following(&self, protobuf: bool) -> Place {
        let next = match self.at {
            Place::Head => (0, 0),
            Place::Family(family, series) => {
                if !protobuf && series + 1 < self.families[family].1.len() {
                    (family, series + 1)
                } else {
                    (family + 1, 0)
                }
            }
            Place::End => return Place::End,
        };
        if next.0 < self.families.len() {
            Place::Family(next.0, next.1)
        } else {
            Place::End
        }
    }
}

impl Iterator for Page {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.at == Place::End {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        while self.at != Place::End && piece.len() < PIECE_BYTES {
            self.step(&mut piece);
        }
        Some(piece)
    }
}

/// The whole page at once, in the format that `accept` prefers, with its content type.
#[must_use]
pub fn render(
    points: Vec<Point>,
    agent: &Agent,
    accept: &str,
    created: bool,
) -> (&'static str, Vec<u8>) {
    let page = Page::new(points, agent.clone(), Format::preferred(accept), created);
    (page.content_type(), page.collect::<Vec<_>>().concat())
}

/// Two pipelines say the same series: what can be summed is summed.
fn join(into: &mut Point, other: Point) {
    into.start = into.start.min(other.start);
    into.time = into.time.max(other.time);
    into.exemplar = into.exemplar.or(other.exemplar);
    match (&mut into.value, other.value) {
        (
            PointValue::Sum { cumulative, .. },
            PointValue::Sum {
                cumulative: more, ..
            },
        ) => *cumulative = cumulative.saturating_add(more),
        (
            PointValue::Histogram { cumulative, .. },
            PointValue::Histogram {
                cumulative: more, ..
            },
        ) => Arc::make_mut(cumulative).merge(&more),
        (PointValue::Gauge(value), PointValue::Gauge(more)) => *value = value.max(more),
        _ => {}
    }
}

/// What a metric is to Prometheus, which knows no up-down counters.
pub(super) fn is_counter(metric: Metric) -> bool {
    metric.instrument() == Instrument::Counter
}

/// The exponents of two at which a metric's classic buckets end: a property of the metric, so that
/// `le` is the same in every series and at every scrape.
pub(super) fn bounds(metric: Metric) -> std::ops::RangeInclusive<i32> {
    match metric {
        Metric::Rtt => -16..=3,               // 15 us to 8 s
        Metric::HandshakeDuration => -14..=7, // 61 us to 128 s: every retry of a SYN
        _ => -10..=16,                        // 1 ms to 18 h
    }
}

/// How many values are at most two to the power of each exponent, of a metric's bounds. Exact where
/// a bucket of the histogram ends there, which is so unless it spans more than 160 powers of two.
pub(super) fn cumulative(
    histogram: &ExponentialHistogram,
    exponents: std::ops::RangeInclusive<i32>,
) -> impl Iterator<Item = (i32, u64)> {
    let mut count = histogram.zero_count;
    let mut bucket = 0;
    exponents.map(move |exponent| {
        while let Some(more) = histogram.buckets.get(bucket)
            && ends_by(histogram.offset + bucket as i32, histogram.scale, exponent)
        {
            count += more;
            bucket += 1;
        }
        (exponent, count)
    })
}

/// Whether a bucket's upper bound is at most two to the power of `exponent`.
fn ends_by(index: i32, scale: i32, exponent: i32) -> bool {
    let (end, exponent) = (i64::from(index) + 1, i64::from(exponent));
    if scale >= 0 {
        end <= exponent << scale
    } else {
        end << -scale <= exponent
    }
}
