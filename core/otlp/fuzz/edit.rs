//! Whatever bytes come: editing them does not panic, and what can be read can be read when it is edited.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapetum_model::OtlpSignal;
use tapetum_otlp::edit::{Pair, retain, rewrite};
use tapetum_otlp::scan;

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    let signal = [OtlpSignal::Traces, OtlpSignal::Metrics, OtlpSignal::Logs][usize::from(which % 3)];
    let was = scan(signal, bytes);
    let mut odd = false;
    let kept = retain(signal, bytes, &mut |item| {
        odd = !odd && item.attribute("k").is_none();
        odd
    });
    let edited = rewrite(signal, bytes, &mut |_, pairs| {
        pairs.push(Pair::text("k", "v"));
        true
    });
    if let Ok(items) = was {
        if let Ok(Some((bytes, left))) = kept {
            assert_eq!(scan(signal, &bytes), Ok(left));
        }
        if let Ok(Some(bytes)) = edited {
            assert_eq!(scan(signal, &bytes), Ok(items));
        }
    }
});
