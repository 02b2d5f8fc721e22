//! How a no is written: `google.rpc.Status` with its hint, and the fields of gRPC that carry it.

use std::time::Duration;

use super::refusal::{Refusal, Why};

/// gRPC status codes, by their numbers.
pub(super) mod code {
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const UNAVAILABLE: u32 = 14;
}

const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

impl Why {
    /// The gRPC status. What OTLP calls worth another try is so only with one of its codes.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Malformed => code::INVALID_ARGUMENT,
            Self::TooLarge | Self::Crowded => code::RESOURCE_EXHAUSTED,
            Self::Unsupported | Self::Unknown | Self::Method => code::UNIMPLEMENTED,
            Self::Slow => code::DEADLINE_EXCEEDED,
            Self::Busy(_) | Self::Gone => code::UNAVAILABLE,
        }
    }
}

/// A `google.rpc.Status` as protobuf.
pub(super) fn protobuf(refusal: &Refusal) -> Vec<u8> {
    let mut status = vec![0x08, refusal.why.code() as u8];
    field(&mut status, 0x12, refusal.message.as_bytes());
    if let Some(after) = refusal.why.after() {
        let mut info = Vec::new();
        field(&mut info, 0x0a, &duration(after));
        let mut any = Vec::new();
        field(&mut any, 0x0a, RETRY_INFO);
        field(&mut any, 0x12, &info);
        field(&mut status, 0x1a, &any);
    }
    status
}

/// The same as JSON.
pub(super) fn json(refusal: &Refusal) -> String {
    let details = refusal.why.after().map_or(String::new(), |after| {
        let seconds = after.as_secs_f64();
        format!(
            r#","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{seconds}s"}}]"#
        )
    });
    let (code, message) = (refusal.why.code(), quoted(&refusal.message));
    format!(r#"{{"code":{code},"message":{message}{details}}}"#)
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for each in text.chars() {
        match each {
            '"' | '\\' => out.extend(['\\', each]),
            '\0'..'\u{20}' => out.push_str(&format!("\\u{:04x}", u32::from(each))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A `google.protobuf.Duration`.
fn duration(time: Duration) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, value) in [
        (0x08, time.as_secs()),
        (0x10, u64::from(time.subsec_nanos())),
    ] {
        if value > 0 {
            out.push(tag);
            varint(&mut out, value);
        }
    }
    out
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `grpc-message`: what is not printable ASCII as `%XX`.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Base64 without padding, as the fields that end in `-bin` are.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let whole = three.iter().enumerate();
        let bits = whole.fold(0u32, |bits, (at, byte)| {
            bits | u32::from(*byte) << (16 - 8 * at)
        });
        for digit in 0..=three.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(char::from(DIGITS[value as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_protocol_reads_them() {
        assert_eq!(base64(b"hello"), "aGVsbG8");
        assert_eq!(base64(b"hello!"), "aGVsbG8h");
        assert_eq!(base64(&[0xff]), "/w");
        assert_eq!(quoted("a\"b\\\n✓"), r#""a\"b\\\u000a✓""#);
        assert_eq!(percent("50% ✓\n"), "50%25 %E2%9C%93%0A");
    }

    #[test]
    fn a_hint_is_read_by_our_own_exporter() {
        let after = Duration::from_millis(2_050);
        let busy = protobuf(&Refusal::new(Why::Busy(after), "later"));
        assert_eq!(tapetum_otlp::response::retry_delay(&busy), Some(after));
        let never = protobuf(&Refusal::new(Why::Malformed, "never"));
        assert_eq!(tapetum_otlp::response::retry_delay(&never), None);
        assert_eq!(
            json(&Refusal::new(Why::Busy(after), "later")),
            r#"{"code":14,"message":"later","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2.05s"}]}"#
        );
        assert_eq!(&never[..], b"\x08\x03\x12\x05never");
    }
}
