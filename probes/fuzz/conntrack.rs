//! Any bytes as an answer of connection tracking: read, or not an answer; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = tapetum_probes::conntrack::answerer_in(bytes, 7);
});
