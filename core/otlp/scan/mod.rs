//! Looks through an OTLP request without decoding it: is it one, and how many items does it hold.
//!
//! What passes here is read by every decoder of OTLP, so one sender's broken message cannot spoil what
//! others sent when their messages are joined. It takes exactly what the reference decoder of the tests takes:
//! each nested message, each text and each number is looked at, nothing is copied, no
//! length is believed, and nesting ends at a depth that the stack has room for.

mod fields;
pub(crate) mod shapes;
#[cfg(test)]
mod tests;

use tapetum_model::OtlpSignal;

use fields::Fields;

/// Why a request is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf at byte {at}: {why}")]
pub struct Malformed {
    /// Where it stops to be one.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// How many spans, data points or log records an export request of `signal` holds.
///
/// # Errors
/// It is no such request: where, and why.
pub fn scan(signal: OtlpSignal, request: &[u8]) -> Result<u64, Malformed> {
    let shape = shapes::of(signal);
    let mut fields = Fields::default();
    match fields.walk(shape, request, 0) {
        Ok(()) => Ok(fields.items),
        Err(fault) => Err(Malformed {
            at: request.len() - fault.left_of(request),
            why: fault.why(),
        }),
    }
}
