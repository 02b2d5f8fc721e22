//! The messages of OTLP: which field is what, and how JSON calls it. Everything else about a field is
//! nobody's business here.

use tapetum_model::OtlpSignal;

/// A message: its fields by number, and the same by the tag byte that most of them begin with.
pub(crate) struct Shape {
    pub(crate) by_tag: [Step; 128],
    pub(crate) fields: &'static [Field],
    pub(crate) nested: &'static [&'static Shape],
}

/// Number, name in JSON, what it holds. A field without a name is not of JSON.
pub(crate) type Field = (u32, &'static str, Is);

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Bool,
    Int,
    Uint32,
    Enum,
    /// Zigzag.
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Text,
    Texts,
    /// Bytes that JSON writes as so many hexadecimal digits, or none.
    Id(u8),
    Bytes,
    Uint64s,
    Fixed64s,
    Doubles,
    /// The message of this place in `nested`.
    One(u8),
    Many(u8),
    /// The same, and it is what is counted.
    Items(u8),
}

/// What a tag byte asks for; see the constants.
pub(crate) type Step = u8;

/// Unknown, of a greater number, or with another wire type than it should have.
pub(crate) const OTHER: Step = 0;
pub(crate) const VARINT: Step = 1;
pub(crate) const FIXED64: Step = 2;
pub(crate) const FIXED32: Step = 3;
pub(crate) const BYTES: Step = 4;
pub(crate) const TEXT: Step = 5;
pub(crate) const VARINTS: Step = 6;
pub(crate) const FIXED64S: Step = 7;
/// With the place of the message in `nested` in the bits below.
pub(crate) const MESSAGE: Step = 0x40;
pub(crate) const ITEM: Step = 0x80;
pub(crate) const PLACE: Step = 0x3f;

impl Is {
    pub(crate) const fn step(self) -> Step {
        match self {
            Self::Bool | Self::Int | Self::Uint32 | Self::Enum | Self::Sint32 => VARINT,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => FIXED64,
            Self::Fixed32 => FIXED32,
            Self::Id(_) | Self::Bytes => BYTES,
            Self::Text | Self::Texts => TEXT,
            Self::Uint64s => VARINTS,
            Self::Fixed64s | Self::Doubles => FIXED64S,
            Self::One(place) | Self::Many(place) => MESSAGE | place,
            Self::Items(place) => ITEM | place,
        }
    }

    pub(crate) const fn wire_type(self) -> u8 {
        match self.step() {
            VARINT => 0,
            FIXED64 => 1,
            FIXED32 => 5,
            _ => 2,
        }
    }
}

/// An export request.
pub(crate) fn of(signal: OtlpSignal) -> &'static Shape {
    match signal {
        OtlpSignal::Traces => &TRACES,
        OtlpSignal::Metrics => &METRICS,
        OtlpSignal::Logs => &LOGS,
    }
}

const fn shape(fields: &'static [Field], nested: &'static [&'static Shape]) -> Shape {
    let mut by_tag = [OTHER; 128];
    let mut at = 0;
    while at < fields.len() {
        let (number, _, is) = fields[at];
        if number < 16 {
            by_tag[(number as usize) << 3 | is.wire_type() as usize] = is.step();
        }
        at += 1;
    }
    Shape {
        by_tag,
        fields,
        nested,
    }
}

use Is::{
    Bool, Bytes, Double, Doubles, Enum, Fixed32, Fixed64, Fixed64s, Id, Int, Items, Many, One,
    Sfixed64, Sint32, Text, Texts, Uint32, Uint64s,
};
static ANY: Shape = shape(
    &[
        (1, "stringValue", Text),
        (2, "boolValue", Bool),
        (3, "intValue", Int),
        (4, "doubleValue", Double),
        (5, "arrayValue", One(0)),
        (6, "kvlistValue", One(1)),
        (7, "bytesValue", Bytes),
        (8, "", Int),
    ],
    &[&ARRAY, &LIST],
);
static ARRAY: Shape = shape(&[(1, "values", Many(0))], &[&ANY]);
static LIST: Shape = shape(&[(1, "values", Many(0))], &[&ATTRIBUTE]);
pub(crate) static ATTRIBUTE: Shape = shape(
    &[(1, "key", Text), (2, "value", One(0)), (3, "", Int)],
    &[&ANY],
);
static SCOPE: Shape = shape(
    &[
        (1, "name", Text),
        (2, "version", Text),
        (3, "attributes", Many(0)),
        (4, "droppedAttributesCount", Uint32),
    ],
    &[&ATTRIBUTE],
);
static ENTITY: Shape = shape(
    &[
        (1, "schemaUrl", Text),
        (2, "type", Text),
        (3, "idKeys", Texts),
        (4, "descriptionKeys", Texts),
    ],
    &[],
);
static RESOURCE: Shape = shape(
    &[
        (1, "attributes", Many(0)),
        (2, "droppedAttributesCount", Uint32),
        (3, "entityRefs", Many(1)),
    ],
    &[&ATTRIBUTE, &ENTITY],
);

static TRACES: Shape = shape(&[(1, "resourceSpans", Many(0))], &[&RESOURCE_SPANS]);
static RESOURCE_SPANS: Shape = shape(
    &[
        (1, "resource", One(0)),
        (2, "scopeSpans", Many(1)),
        (3, "schemaUrl", Text),
    ],
    &[&RESOURCE, &SCOPE_SPANS],
);
static SCOPE_SPANS: Shape = shape(
    &[
        (1, "scope", One(0)),
        (2, "spans", Items(1)),
        (3, "schemaUrl", Text),
    ],
    &[&SCOPE, &SPAN],
);
static SPAN: Shape = shape(
    &[
        (1, "traceId", Id(32)),
        (2, "spanId", Id(16)),
        (3, "traceState", Text),
        (4, "parentSpanId", Id(16)),
        (5, "name", Text),
        (6, "kind", Enum),
        (7, "startTimeUnixNano", Fixed64),
        (8, "endTimeUnixNano", Fixed64),
        (9, "attributes", Many(0)),
        (10, "droppedAttributesCount", Uint32),
        (11, "events", Many(1)),
        (12, "droppedEventsCount", Uint32),
        (13, "links", Many(2)),
        (14, "droppedLinksCount", Uint32),
        (15, "status", One(3)),
        (16, "flags", Fixed32),
    ],
    &[&ATTRIBUTE, &EVENT, &LINK, &STATUS],
);
static EVENT: Shape = shape(
    &[
        (1, "timeUnixNano", Fixed64),
        (2, "name", Text),
        (3, "attributes", Many(0)),
        (4, "droppedAttributesCount", Uint32),
    ],
    &[&ATTRIBUTE],
);
static LINK: Shape = shape(
    &[
        (1, "traceId", Id(32)),
        (2, "spanId", Id(16)),
        (3, "traceState", Text),
        (4, "attributes", Many(0)),
        (5, "droppedAttributesCount", Uint32),
        (6, "flags", Fixed32),
    ],
    &[&ATTRIBUTE],
);
static STATUS: Shape = shape(&[(2, "message", Text), (3, "code", Enum)], &[]);

static LOGS: Shape = shape(&[(1, "resourceLogs", Many(0))], &[&RESOURCE_LOGS]);
static RESOURCE_LOGS: Shape = shape(
    &[
        (1, "resource", One(0)),
        (2, "scopeLogs", Many(1)),
        (3, "schemaUrl", Text),
    ],
    &[&RESOURCE, &SCOPE_LOGS],
);
static SCOPE_LOGS: Shape = shape(
    &[
        (1, "scope", One(0)),
        (2, "logRecords", Items(1)),
        (3, "schemaUrl", Text),
    ],
    &[&SCOPE, &LOG],
);
static LOG: Shape = shape(
    &[
        (1, "timeUnixNano", Fixed64),
        (2, "severityNumber", Enum),
        (3, "severityText", Text),
        (5, "body", One(1)),
        (6, "attributes", Many(0)),
        (7, "droppedAttributesCount", Uint32),
        (8, "flags", Fixed32),
        (9, "traceId", Id(32)),
        (10, "spanId", Id(16)),
        (11, "observedTimeUnixNano", Fixed64),
        (12, "eventName", Text),
    ],
    &[&ATTRIBUTE, &ANY],
);

static METRICS: Shape = shape(&[(1, "resourceMetrics", Many(0))], &[&RESOURCE_METRICS]);
static RESOURCE_METRICS: Shape = shape(
    &[
        (1, "resource", One(0)),
        (2, "scopeMetrics", Many(1)),
        (3, "schemaUrl", Text),
    ],
    &[&RESOURCE, &SCOPE_METRICS],
);
static SCOPE_METRICS: Shape = shape(
    &[
        (1, "scope", One(0)),
        (2, "metrics", Many(1)),
        (3, "schemaUrl", Text),
    ],
    &[&SCOPE, &METRIC],
);
static METRIC: Shape = shape(
    &[
        (1, "name", Text),
        (2, "description", Text),
        (3, "unit", Text),
        (5, "gauge", One(0)),
        (7, "sum", One(1)),
        (9, "histogram", One(2)),
        (10, "exponentialHistogram", One(3)),
        (11, "summary", One(4)),
        (12, "metadata", Many(5)),
    ],
    &[&GAUGE, &SUM, &HISTOGRAM, &EXPONENTIAL, &SUMMARY, &ATTRIBUTE],
);
static GAUGE: Shape = shape(&[(1, "dataPoints", Items(0))], &[&NUMBER_POINT]);
static SUM: Shape = shape(
    &[
        (1, "dataPoints", Items(0)),
        (2, "aggregationTemporality", Enum),
        (3, "isMonotonic", Bool),
    ],
    &[&NUMBER_POINT],
);
static HISTOGRAM: Shape = shape(
    &[
        (1, "dataPoints", Items(0)),
        (2, "aggregationTemporality", Enum),
    ],
    &[&HISTOGRAM_POINT],
);
static EXPONENTIAL: Shape = shape(
    &[
        (1, "dataPoints", Items(0)),
        (2, "aggregationTemporality", Enum),
    ],
    &[&EXPONENTIAL_POINT],
);
static SUMMARY: Shape = shape(&[(1, "dataPoints", Items(0))], &[&SUMMARY_POINT]);
static NUMBER_POINT: Shape = shape(
    &[
        (2, "startTimeUnixNano", Fixed64),
        (3, "timeUnixNano", Fixed64),
        (4, "asDouble", Double),
        (5, "exemplars", Many(1)),
        (6, "asInt", Sfixed64),
        (7, "attributes", Many(0)),
        (8, "flags", Uint32),
    ],
    &[&ATTRIBUTE, &EXEMPLAR],
);
static HISTOGRAM_POINT: Shape = shape(
    &[
        (2, "startTimeUnixNano", Fixed64),
        (3, "timeUnixNano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "bucketCounts", Fixed64s),
        (7, "explicitBounds", Doubles),
        (8, "exemplars", Many(1)),
        (9, "attributes", Many(0)),
        (10, "flags", Uint32),
        (11, "min", Double),
        (12, "max", Double),
    ],
    &[&ATTRIBUTE, &EXEMPLAR],
);
static EXPONENTIAL_POINT: Shape = shape(
    &[
        (1, "attributes", Many(0)),
        (2, "startTimeUnixNano", Fixed64),
        (3, "timeUnixNano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "scale", Sint32),
        (7, "zeroCount", Fixed64),
        (8, "positive", One(2)),
        (9, "negative", One(2)),
        (10, "flags", Uint32),
        (11, "exemplars", Many(1)),
        (12, "min", Double),
        (13, "max", Double),
        (14, "zeroThreshold", Double),
    ],
    &[&ATTRIBUTE, &EXEMPLAR, &BUCKETS],
);
static BUCKETS: Shape = shape(&[(1, "offset", Sint32), (2, "bucketCounts", Uint64s)], &[]);
static SUMMARY_POINT: Shape = shape(
    &[
        (2, "startTimeUnixNano", Fixed64),
        (3, "timeUnixNano", Fixed64),
        (4, "count", Fixed64),
        (5, "sum", Double),
        (6, "quantileValues", Many(1)),
        (7, "attributes", Many(0)),
        (8, "flags", Uint32),
    ],
    &[&ATTRIBUTE, &QUANTILE],
);
static QUANTILE: Shape = shape(&[(1, "quantile", Double), (2, "value", Double)], &[]);
static EXEMPLAR: Shape = shape(
    &[
        (2, "timeUnixNano", Fixed64),
        (3, "asDouble", Double),
        (4, "spanId", Id(16)),
        (5, "traceId", Id(32)),
        (6, "asInt", Sfixed64),
        (7, "filteredAttributes", Many(0)),
    ],
    &[&ATTRIBUTE],
);
