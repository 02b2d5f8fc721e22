//! What an HTTP answer means: OTLP says which status codes are worth another try.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use tapetum_model::UnixNanos;
use tapetum_otlp::response;
use tapetum_pipeline::Outcome;

/// A whole answer.
#[derive(Debug)]
pub(in super::super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Whether the server said that it cannot read this compression.
    pub(in super::super) fn refuses(&self, encoding: &str) -> bool {
        match self.status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => true,
            // What a server says that finds no decoder for it.
            StatusCode::BAD_REQUEST => self.message().to_ascii_lowercase().contains(encoding),
            _ => false,
        }
    }

    /// Whether the server does not know who sends.
    pub(in super::super) fn is_unauthenticated(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// What became of the message that it answers.
    pub(in super::super) fn outcome(&self, now: UnixNanos) -> Outcome {
        if self.status.is_success() {
            let said = response::partial_success(self.protobuf().unwrap_or_default());
            return Outcome::Ok {
                rejected: said.rejected,
                message: (!said.message.is_empty()).then(|| said.message.into()),
            };
        }
        let status = self.status.as_u16();
        let message: Arc<str> = match self.message() {
            said if said.is_empty() => format!("the server answers HTTP status {status}").into(),
            said => format!("the server answers HTTP status {status}: {said}").into(),
        };
        match status {
            429 | 502 | 503 | 504 => Outcome::Retryable {
                after: self.retry_after(now),
                message,
            },
            _ => Outcome::Permanent { message },
        }
    }

    /// The sentence of a `google.rpc.Status`, or the text that a proxy answers.
    fn message(&self) -> String {
        match self.protobuf() {
            Some(body) => response::status_message(body),
            None => response::text(&self.body).trim().to_owned(),
        }
    }

    fn protobuf(&self) -> Option<&[u8]> {
        let kind = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        ["application/x-protobuf", "application/protobuf"]
            .contains(&kind)
            .then_some(&self.body)
    }

    /// Seconds, or a date.
    fn retry_after(&self, now: UnixNanos) -> Option<Duration> {
        let said = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = said.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(said).ok()?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(now.0);
        Some(date.duration_since(now).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().expect("printable"));
        }
        Answer {
            status: StatusCode::from_u16(status).expect("three digits"),
            headers,
            body: Bytes::copy_from_slice(body),
        }
    }

    #[test]
    fn a_date_says_how_long_to_wait() {
        let after = |said: &str| {
            let answer = answer(503, &[("retry-after", said)], b"");
            // 2026-11-24 15:00:00
            match answer.outcome(UnixNanos(1_795_532_400_000_000_000)) {
                Outcome::Retryable { after, .. } => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after("17"), Some(Duration::from_secs(17)));
        let date = "Tue, 24 Nov 2026 15:00:42 GMT";
        assert_eq!(after(date), Some(Duration::from_secs(42)));
        let past = "Tue, 24 Nov 2026 14:00:42 GMT";
        assert_eq!(after(past), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_answer_has_an_outcome(
            status in 100u16..1_000,
            kind in "application/x-protobuf|text/plain|",
            retry in "[ -~]{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let fields = [("content-type", kind.as_str()), ("retry-after", retry.as_str())];
            let outcome = answer(status, &fields, &body).outcome(UnixNanos(0));
            let is_ok = matches!(outcome, Outcome::Ok { .. });
            prop_assert_eq!(is_ok, (200..300).contains(&status));
            let is_retryable = matches!(outcome, Outcome::Retryable { .. });
            prop_assert_eq!(is_retryable, [429, 502, 503, 504].contains(&status));
        }
    }
}
