//! A request to cut, as any bytes: nothing panics, no item is lost, and what is read is no larger than four times
//! what came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapetum_model::OtlpSignal;
use tapetum_otlp::{scan, split};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, request)) = bytes.split_first() else {
        return;
    };
    let signal = match first & 3 {
        0 => OtlpSignal::Traces,
        1 => OtlpSignal::Logs,
        _ => OtlpSignal::Metrics,
    };
    let bytes_max = usize::from(first >> 2) * 64;
    let items = scan(signal, request).unwrap_or(7);
    let parts = split(signal, items, request.to_vec().into(), bytes_max);
    assert_eq!(parts.iter().map(|part| part.items).sum::<u64>(), items);
    let all: usize = parts.iter().map(|part| part.bytes.len()).sum();
    assert!(all <= 4 * request.len());
});
