//! What a connection becomes: a span, or a log record that says the same.
//!
//! Resource, scope and attributes are the same bytes but for one tag. A log record has one name for what a span calls
//! start and end each: it happened when the period began, and was observed when it ended. It has no parent and no kind.

/// How a connection is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As a span.
    #[default]
    Span,
    /// As a log record.
    Log,
}

impl Form {
    /// The tag of an attribute.
    pub(crate) const fn attribute(self) -> u8 {
        match self {
            Self::Span => 0x4a,
            Self::Log => 0x32,
        }
    }
}
