//! Reads what a server answers: `Export…ServiceResponse` and the details of a gRPC status.
//!
//! These bytes are foreign: no length is believed, nothing is allocated by one, nothing nests.

use std::time::Duration;

/// What an `Export…ServiceResponse` of any signal says beyond "yes".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Items that the server refused for good.
    pub rejected: u64,
    /// Why, or a warning where nothing was refused.
    pub message: String,
}

/// Longer messages of a server are cut.
const MESSAGE_MAX: usize = 512;
const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";

/// A response's partial success; what cannot be read says nothing, as an unknown field would.
#[must_use]
pub fn partial_success(response: &[u8]) -> PartialSuccess {
    let mut said = PartialSuccess::default();
    for field in fields(response) {
        let (1, Field::Bytes(partial)) = field else {
            continue;
        };
        for field in fields(partial) {
            match field {
                (1, Field::Number(rejected)) => {
                    said.rejected = u64::try_from(rejected as i64).unwrap_or(0);
                }
                (2, Field::Bytes(message)) => said.message = text(message),
                _ => {}
            }
        }
    }
    said
}

/// How long to wait, of a `google.rpc.Status` with a `RetryInfo` among its details. A `RetryInfo`
/// without a delay is zero: come back when you like.
#[must_use]
pub fn retry_delay(status: &[u8]) -> Option<Duration> {
    fields(status)
        .filter_map(|field| match field {
            (3, Field::Bytes(any)) => of_retry_info(any),
            _ => None,
        })
        .next()
}

/// The sentence of a `google.rpc.Status`.
#[must_use]
pub fn status_message(status: &[u8]) -> String {
    let sentence = fields(status).filter_map(|field| match field {
        (2, Field::Bytes(message)) => Some(text(message)),
        _ => None,
    });
    sentence.last().unwrap_or_default()
}

/// Text of a server, bounded.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MESSAGE_MAX)];
    String::from_utf8_lossy(bytes).into_owned()
}

fn of_retry_info(any: &[u8]) -> Option<Duration> {
    let is_retry_info = |field: &(u64, Field<'_>)| matches!(field, (1, Field::Bytes(url)) if url.ends_with(RETRY_INFO));
    fields(any).find(is_retry_info)?;
    let mut delay = Duration::ZERO;
    for field in fields(any) {
        let (2, Field::Bytes(info)) = field else {
            continue;
        };
        for field in fields(info) {
            if let (1, Field::Bytes(duration)) = field {
                delay = of_duration(duration);
            }
        }
    }
    Some(delay)
}

fn of_duration(duration: &[u8]) -> Duration {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    for field in fields(duration) {
        match field {
            (1, Field::Number(value)) => seconds = value as i64,
            (2, Field::Number(value)) => nanos = value as i64,
            _ => {}
        }
    }
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
    Duration::new(seconds, nanos)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message as far as they can be read.
fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let tag = varint(&mut rest)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut rest)?),
            1 => Field::Bytes(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Field::Bytes(take(&mut rest, length)?)
            }
            5 => Field::Bytes(take(&mut rest, 4)?),
            _ => return None,
        };
        Some((tag >> 3, field))
    })
}

pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(7 * at)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_partial_success_is_read() {
        let said = |rejected_spans, message: &str| {
            let response = ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: message.to_owned(),
                }),
            };
            partial_success(&response.encode_to_vec())
        };
        let expected = |rejected, message: &str| PartialSuccess {
            rejected,
            message: message.to_owned(),
        };
        assert_eq!(said(17, "too old"), expected(17, "too old"));
        assert_eq!(said(0, "a warning"), expected(0, "a warning"));
        assert_eq!(said(-5, ""), expected(0, ""));
        assert_eq!(partial_success(&[]), PartialSuccess::default());
        assert_eq!(said(1, &"x".repeat(9_000)).message.len(), MESSAGE_MAX);
    }

    #[test]
    fn a_retry_info_is_found_among_other_details() {
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let delay = [0x0a, 7, 0x08, 2, 0x10, 0x80, 0xe1, 0xeb, 0x17];
        let mut any = vec![0x0a, url.len() as u8];
        any.extend(url);
        any.extend([0x12, delay.len() as u8]);
        any.extend(delay);
        let mut status = vec![0x08, 8, 0x1a, 2, 0x0a, 0, 0x1a, any.len() as u8];
        status.extend(&any);
        assert_eq!(retry_delay(&status), Some(Duration::from_millis(2_050)));
        assert_eq!(retry_delay(&status[..6]), None);
        assert_eq!(retry_delay(b"\x08\x08"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(partial_success(&bytes).message.len() <= 3 * MESSAGE_MAX);
            prop_assert!(retry_delay(&bytes).is_none_or(|delay| delay.subsec_nanos() < 1_000_000_000));
        }
    }
}
