//! Why a request is not taken: the same for gRPC and HTTP, which each say it in their own words.

use std::time::Duration;

/// A request that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Why,
    /// For who reads the sender's log: what is wrong and what to do.
    pub(super) message: String,
}

/// What kind of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is no OTLP request, and never will be.
    Malformed,
    /// It is longer than it may be.
    TooLarge,
    /// It is written in a way that is not read here.
    Unsupported,
    /// There is nothing of that name.
    Unknown,
    /// It is not sent as it should be.
    Method,
    /// It takes too long to come.
    Slow,
    /// A queue behind has no room.
    Busy(Duration),
    /// There is no room for it here.
    Crowded,
    /// The sender went away in the middle.
    Gone,
}

/// What a sender waits who came when there was no room: bodies come and go within milliseconds.
const CROWDED_AFTER: Duration = Duration::from_secs(1);

impl Why {
    /// How it is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
            Self::Method => "method",
            Self::Slow => "slow",
            Self::Busy(_) => "busy",
            Self::Crowded => "crowded",
            Self::Gone => "gone",
        }
    }

    /// Not before then, where trying again helps.
    pub(super) fn after(self) -> Option<Duration> {
        match self {
            Self::Busy(after) => Some(after),
            Self::Crowded => Some(CROWDED_AFTER),
            _ => None,
        }
    }
}

impl Refusal {
    pub(super) fn new(why: Why, message: impl Into<String>) -> Self {
        Self {
            why,
            message: message.into(),
        }
    }

    pub(super) fn too_large(most: u64) -> Self {
        let message = format!(
            "a request is longer than {most} bytes: send fewer items at once, or raise `max_message`"
        );
        Self::new(Why::TooLarge, message)
    }

    pub(super) fn crowded() -> Self {
        let message = "too many requests at once: come back in a second";
        Self::new(Why::Crowded, message)
    }
}
