//! The messages of OTLP: which field is what. Everything else about a field is nobody's business here.

/// A message: its fields by number, and the same by the tag byte that most of them begin with.
pub(super) struct Shape {
    pub(super) by_tag: [Step; 128],
    pub(super) fields: &'static [(u32, Kind)],
    pub(super) nested: &'static [&'static Shape],
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
    Text,
    /// Many numbers, behind each other or one by one.
    Varints,
    Fixed64s,
    /// The message of this place in `nested`.
    Message(u8),
    /// The same, and it is what is counted.
    Item(u8),
}

/// What a tag byte asks for; see the constants.
pub(super) type Step = u8;

/// Unknown, of a greater number, or with another wire type than it should have.
pub(super) const OTHER: Step = 0;
pub(super) const VARINT: Step = 1;
pub(super) const FIXED64: Step = 2;
pub(super) const FIXED32: Step = 3;
pub(super) const BYTES: Step = 4;
pub(super) const TEXT: Step = 5;
pub(super) const VARINTS: Step = 6;
pub(super) const FIXED64S: Step = 7;
/// With the place of the message in `nested` in the bits below.
pub(super) const MESSAGE: Step = 0x40;
pub(super) const ITEM: Step = 0x80;
pub(super) const PLACE: Step = 0x3f;

impl Kind {
    const fn step(self) -> Step {
        match self {
            Self::Varint => VARINT,
            Self::Fixed64 => FIXED64,
            Self::Fixed32 => FIXED32,
            Self::Bytes => BYTES,
            Self::Text => TEXT,
            Self::Varints => VARINTS,
            Self::Fixed64s => FIXED64S,
            Self::Message(place) => MESSAGE | place,
            Self::Item(place) => ITEM | place,
        }
    }

    const fn wire_type(self) -> u8 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Fixed32 => 5,
            _ => 2,
        }
    }
}

const fn shape(fields: &'static [(u32, Kind)], nested: &'static [&'static Shape]) -> Shape {
    let mut by_tag = [OTHER; 128];
    let mut at = 0;
    while at < fields.len() {
        let (number, kind) = fields[at];
        if number < 16 {
            by_tag[(number as usize) << 3 | kind.wire_type() as usize] = kind.step();
        }
        at += 1;
    }
    Shape {
        by_tag,
        fields,
        nested,
    }
}

use Kind::{Bytes, Fixed32, Fixed64, Fixed64s, Item, Message, Text, Varint, Varints};

static ANY: Shape = shape(
    &[
        (1, Text),
        (2, Varint),
        (3, Varint),
        (4, Fixed64),
        (5, Message(0)),
        (6, Message(1)),
        (7, Bytes),
        (8, Varint),
    ],
    &[&ARRAY, &LIST],
);
static ARRAY: Shape = shape(&[(1, Message(0))], &[&ANY]);
static LIST: Shape = shape(&[(1, Message(0))], &[&ATTRIBUTE]);
pub(super) static ATTRIBUTE: Shape = shape(&[(1, Text), (2, Message(0)), (3, Varint)], &[&ANY]);
static SCOPE: Shape = shape(
    &[(1, Text), (2, Text), (3, Message(0)), (4, Varint)],
    &[&ATTRIBUTE],
);
static ENTITY: Shape = shape(&[(1, Text), (2, Text), (3, Text), (4, Text)], &[]);
static RESOURCE: Shape = shape(
    &[(1, Message(0)), (2, Varint), (3, Message(1))],
    &[&ATTRIBUTE, &ENTITY],
);

pub(super) static TRACES: Shape = shape(&[(1, Message(0))], &[&RESOURCE_SPANS]);
static RESOURCE_SPANS: Shape = shape(
    &[(1, Message(0)), (2, Message(1)), (3, Text)],
    &[&RESOURCE, &SCOPE_SPANS],
);
static SCOPE_SPANS: Shape = shape(
    &[(1, Message(0)), (2, Item(1)), (3, Text)],
    &[&SCOPE, &SPAN],
);
static SPAN: Shape = shape(
    &[
        (1, Bytes),
        (2, Bytes),
        (3, Text),
        (4, Bytes),
        (5, Text),
        (6, Varint),
        (7, Fixed64),
        (8, Fixed64),
        (9, Message(0)),
        (10, Varint),
        (11, Message(1)),
        (12, Varint),
        (13, Message(2)),
        (14, Varint),
        (15, Message(3)),
        (16, Fixed32),
    ],
    &[&ATTRIBUTE, &EVENT, &LINK, &STATUS],
);
static EVENT: Shape = shape(
    &[(1, Fixed64), (2, Text), (3, Message(0)), (4, Varint)],
    &[&ATTRIBUTE],
);
static LINK: Shape = shape(
    &[
        (1, Bytes),
        (2, Bytes),
        (3, Text),
        (4, Message(0)),
        (5, Varint),
        (6, Fixed32),
    ],
    &[&ATTRIBUTE],
);
static STATUS: Shape = shape(&[(2, Text), (3, Varint)], &[]);

pub(super) static LOGS: Shape = shape(&[(1, Message(0))], &[&RESOURCE_LOGS]);
static RESOURCE_LOGS: Shape = shape(
    &[(1, Message(0)), (2, Message(1)), (3, Text)],
    &[&RESOURCE, &SCOPE_LOGS],
);
static SCOPE_LOGS: Shape = shape(&[(1, Message(0)), (2, Item(1)), (3, Text)], &[&SCOPE, &LOG]);
static LOG: Shape = shape(
    &[
        (1, Fixed64),
        (2, Varint),
        (3, Text),
        (5, Message(1)),
        (6, Message(0)),
        (7, Varint),
        (8, Fixed32),
        (9, Bytes),
        (10, Bytes),
        (11, Fixed64),
        (12, Text),
    ],
    &[&ATTRIBUTE, &ANY],
);

pub(super) static METRICS: Shape = shape(&[(1, Message(0))], &[&RESOURCE_METRICS]);
static RESOURCE_METRICS: Shape = shape(
    &[(1, Message(0)), (2, Message(1)), (3, Text)],
    &[&RESOURCE, &SCOPE_METRICS],
);
static SCOPE_METRICS: Shape = shape(
    &[(1, Message(0)), (2, Message(1)), (3, Text)],
    &[&SCOPE, &METRIC],
);
static METRIC: Shape = shape(
    &[
        (1, Text),
        (2, Text),
        (3, Text),
        (5, Message(0)),
        (7, Message(1)),
        (9, Message(2)),
        (10, Message(3)),
        (11, Message(4)),
        (12, Message(5)),
    ],
    &[&GAUGE, &SUM, &HISTOGRAM, &EXPONENTIAL, &SUMMARY, &ATTRIBUTE],
);
static GAUGE: Shape = shape(&[(1, Item(0))], &[&NUMBER_POINT]);
static SUM: Shape = shape(&[(1, Item(0)), (2, Varint), (3, Varint)], &[&NUMBER_POINT]);
static HISTOGRAM: Shape = shape(&[(1, Item(0)), (2, Varint)], &[&HISTOGRAM_POINT]);
static EXPONENTIAL: Shape = shape(&[(1, Item(0)), (2, Varint)], &[&EXPONENTIAL_POINT]);
static SUMMARY: Shape = shape(&[(1, Item(0))], &[&SUMMARY_POINT]);
static NUMBER_POINT: Shape = shape(
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Message(1)),
        (6, Fixed64),
        (7, Message(0)),
        (8, Varint),
    ],
    &[&ATTRIBUTE, &EXEMPLAR],
);
static HISTOGRAM_POINT: Shape = shape(
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Fixed64s),
        (7, Fixed64s),
        (8, Message(1)),
        (9, Message(0)),
        (10, Varint),
        (11, Fixed64),
        (12, Fixed64),
    ],
    &[&ATTRIBUTE, &EXEMPLAR],
);
static EXPONENTIAL_POINT: Shape = shape(
    &[
        (1, Message(0)),
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Varint),
        (7, Fixed64),
        (8, Message(2)),
        (9, Message(2)),
        (10, Varint),
        (11, Message(1)),
        (12, Fixed64),
        (13, Fixed64),
        (14, Fixed64),
    ],
    &[&ATTRIBUTE, &EXEMPLAR, &BUCKETS],
);
static BUCKETS: Shape = shape(&[(1, Varint), (2, Varints)], &[]);
static SUMMARY_POINT: Shape = shape(
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Message(1)),
        (7, Message(0)),
        (8, Varint),
    ],
    &[&ATTRIBUTE, &QUANTILE],
);
static QUANTILE: Shape = shape(&[(1, Fixed64), (2, Fixed64)], &[]);
static EXEMPLAR: Shape = shape(
    &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Bytes),
        (5, Bytes),
        (6, Fixed64),
        (7, Message(0)),
    ],
    &[&ATTRIBUTE],
);
