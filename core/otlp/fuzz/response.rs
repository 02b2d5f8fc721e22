//! What a server answers, as any bytes: nothing panics, nothing grows, both readers stop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapetum_otlp::response::{partial_success, retry_delay, text};

fuzz_target!(|bytes: &[u8]| {
    let said = partial_success(bytes);
    // A byte that is no UTF-8 becomes a sign of three.
    assert!(said.message.len() <= 3 * 512);
    assert!(text(bytes).len() <= 3 * 512);
    let _ = retry_delay(bytes);
});
