//! What a gRPC answer means: OTLP says which status codes are worth another try.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tapetum_otlp::response;
use tapetum_pipeline::Outcome;

use super::super::compress;

/// A whole answer.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(super) http: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Empty where the status came with the headers.
    pub(super) trailers: HeaderMap,
}

/// gRPC status codes, by their numbers.
mod code {
    pub(super) const OK: u32 = 0;
    pub(super) const CANCELLED: u32 = 1;
    pub(super) const UNKNOWN: u32 = 2;
    pub(super) const DEADLINE_EXCEEDED: u32 = 4;
    pub(super) const PERMISSION_DENIED: u32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(super) const ABORTED: u32 = 10;
    pub(super) const OUT_OF_RANGE: u32 = 11;
    pub(super) const UNIMPLEMENTED: u32 = 12;
    pub(super) const INTERNAL: u32 = 13;
    pub(super) const UNAVAILABLE: u32 = 14;
    pub(super) const DATA_LOSS: u32 = 15;
    pub(super) const UNAUTHENTICATED: u32 = 16;
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What the server asks of a sender that wants to try again.
enum Pushback {
    /// Nothing.
    Unsaid,
    /// To wait so long.
    After(Duration),
    /// Not to.
    Never,
}

impl Answer {
    /// Whether the server does not know who sends.
    pub(in super::super) fn is_unauthenticated(&self) -> bool {
        self.status() == code::UNAUTHENTICATED
    }

    /// Whether the server said that it cannot read this compression.
    pub(in super::super) fn refuses(&self, encoding: &str) -> bool {
        if self.status() != code::UNIMPLEMENTED {
            return false;
        }
        match self.headers.get("grpc-accept-encoding") {
            Some(accepted) => !accepted
                .to_str()
                .unwrap_or_default()
                .split(',')
                .any(|name| name.trim() == encoding),
            None => self.message().contains(encoding),
        }
    }

    /// What became of the message that it answers.
    pub(in super::super) fn outcome(&self) -> Outcome {
        let status = self.status();
        if status == code::OK {
            return self.success();
        }
        let name = NAMES.get(status as usize).copied().unwrap_or("UNKNOWN");
        let message: Arc<str> = match self.message() {
            said if said.is_empty() => format!("the server answers {name}").into(),
            said => format!("the server answers {name}: {said}").into(),
        };
        let pushback = self.pushback();
        let retryable = match status {
            code::RESOURCE_EXHAUSTED => matches!(pushback, Pushback::After(_)),
            code::CANCELLED
            | code::DEADLINE_EXCEEDED
            | code::ABORTED
            | code::OUT_OF_RANGE
            | code::UNAVAILABLE
            | code::DATA_LOSS => true,
            _ => false,
        };
        match pushback {
            Pushback::Never => Outcome::Permanent { message },
            _ if !retryable => Outcome::Permanent { message },
            Pushback::After(after) => Outcome::Retryable {
                after: Some(after),
                message,
            },
            Pushback::Unsaid => Outcome::Retryable {
                after: None,
                message,
            },
        }
    }

    fn success(&self) -> Outcome {
        let Some(([flag, ..], message)) = self.body.split_first_chunk::<5>() else {
            return delivered(0, String::new());
        };
        let message = match flag {
            0 => Cow::Borrowed(message),
            _ => match compress::decompress(self.field("grpc-encoding"), message) {
                Some(message) => Cow::Owned(message),
                // The status is OK all the same: the items are delivered.
                None => return delivered(0, "the server's answer cannot be decompressed".into()),
            },
        };
        let said = response::partial_success(&message);
        delivered(said.rejected, said.message)
    }

    fn status(&self) -> u32 {
        match self.field("grpc-status") {
            Some(status) => status.parse().unwrap_or(code::UNKNOWN),
            None if self.http == StatusCode::OK => code::UNKNOWN,
            None => of_http(self.http),
        }
    }

    fn message(&self) -> String {
        match self.field("grpc-message") {
            Some(message) => percent_decoded(message),
            None if self.http != StatusCode::OK => format!("HTTP status {}", self.http.as_u16()),
            None if self.field("grpc-status").is_none() => "no gRPC status".to_owned(),
            None => String::new(),
        }
    }

    fn pushback(&self) -> Pushback {
        if let Some(wait) = self.field("grpc-retry-pushback-ms") {
            return match wait.parse() {
                Ok(wait) => Pushback::After(Duration::from_millis(wait)),
                Err(_) => Pushback::Never,
            };
        }
        let details = self.field("grpc-status-details-bin").and_then(base64);
        match details.and_then(|details| response::retry_delay(&details)) {
            Some(after) => Pushback::After(after),
            None => Pushback::Unsaid,
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name))?;
        value.to_str().ok()
    }
}

fn delivered(rejected: u64, message: String) -> Outcome {
    Outcome::Ok {
        rejected,
        message: (!message.is_empty()).then(|| message.into()),
    }
}

/// The status that gRPC gives to an answer of something that does not speak gRPC, a proxy mostly.
fn of_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => code::INTERNAL,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 => code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

/// `grpc-message` has its bytes outside of printable ASCII as `%XX`.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    response::text(&bytes)
}

/// Base64 with or without padding, as `-bin` fields are; `None` if it is not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_in_headers_are_read_as_they_are_written() {
        assert_eq!(base64("aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(base64("aGVsbG8").as_deref(), Some(&b"hello"[..]));
        assert_eq!(base64("a b"), None);
        assert_eq!(percent_decoded("50%25 %E2%9C%93 %zz %"), "50% ✓ %zz %");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_answer_has_an_outcome(
            http in 100u16..1_000,
            status in "[0-9]{0,4}|-1|x",
            fields in prop::collection::vec(("grpc-message|grpc-retry-pushback-ms|grpc-encoding|grpc-status-details-bin", "[ -~]{0,60}"), 0..4),
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().expect("digits"));
            for (name, value) in fields {
                let name: http::HeaderName = name.parse().expect("a name of ours");
                trailers.insert(name, value.parse().expect("printable"));
            }
            let answer = Answer {
                http: StatusCode::from_u16(http).expect("three digits"),
                headers: HeaderMap::new(),
                body: body.into(),
                trailers,
            };
            let delivered = matches!(answer.outcome(), Outcome::Ok { .. });
            prop_assert_eq!(delivered, status.parse() == Ok(0u32));
        }
    }
}
