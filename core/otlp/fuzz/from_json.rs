//! A request in JSON, as any bytes: nothing panics, nothing grows beyond its bound, and what is read passes as any
//! other request does. The first byte says the signal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapetum_model::OtlpSignal;
use tapetum_otlp::{from_json, scan};

const MOST: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, json)) = bytes.split_first() else {
        return;
    };
    let signal = [OtlpSignal::Traces, OtlpSignal::Logs, OtlpSignal::Metrics][usize::from(first % 3)];
    if let Ok(request) = from_json(signal, json, MOST) {
        assert!(request.len() <= MOST);
        assert!(scan(signal, &request).is_ok());
    }
});
