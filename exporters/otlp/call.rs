//! One request and its answer, over whichever protocol the file names.

use std::time::Duration;

use http::header::HeaderMap;
use tapetum_model::{Pieces, Signal, UnixNanos};
use tapetum_pipeline::Outcome;

use super::{grpc, http1};

/// An answer is some numbers and a sentence: more than this is not read.
pub(super) const ANSWER_MAX: usize = 64 << 10;

/// A request.
pub(super) struct Call<'a> {
    pub(super) signal: Signal,
    pub(super) body: Pieces,
    /// As `content-encoding` and `grpc-encoding` call it.
    pub(super) encoding: &'static str,
    pub(super) timeout: Duration,
    /// Those that the file names.
    pub(super) headers: &'a HeaderMap,
}

/// A server, and the connection to it while there is one.
pub(super) enum Channel {
    Grpc(grpc::Channel),
    Http(http1::Channel),
}

/// What the server said.
pub(super) enum Answer {
    Grpc(grpc::Answer),
    Http(http1::Answer),
}

impl Channel {
    /// Sends and waits; the error is a sentence.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<Answer, String> {
        match self {
            Self::Grpc(channel) => match channel.call(call).await {
                Ok(answer) => Ok(Answer::Grpc(answer)),
                Err(why) => Err(why.to_string()),
            },
            Self::Http(channel) => match channel.call(call).await {
                Ok(answer) => Ok(Answer::Http(answer)),
                Err(why) => Err(why.to_string()),
            },
        }
    }

    /// Gives the connection up.
    pub(super) fn close(&mut self) {
        match self {
            Self::Grpc(channel) => channel.close(),
            Self::Http(channel) => channel.close(),
        }
    }
}

impl Answer {
    /// What became of the message that it answers.
    pub(super) fn outcome(&self, now: UnixNanos) -> Outcome {
        match self {
            Self::Grpc(answer) => answer.outcome(),
            Self::Http(answer) => answer.outcome(now),
        }
    }

    /// Whether the server said that it cannot read this compression.
    pub(super) fn refuses(&self, encoding: &str) -> bool {
        match self {
            Self::Grpc(answer) => answer.refuses(encoding),
            Self::Http(answer) => answer.refuses(encoding),
        }
    }

    /// Whether the server does not know who sends: a token may have been replaced.
    pub(super) fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Grpc(answer) => answer.is_unauthenticated(),
            Self::Http(answer) => answer.is_unauthenticated(),
        }
    }
}
