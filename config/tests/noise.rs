//! Whatever is in a file: no panic, and what is wrong has a place that exists.

use proptest::prelude::*;

use super::{COMPONENTS, Small, read, with};
use crate::{Source, load};

const WORDS: [&str; 28] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\"",
    "'",
    "\"\"\"",
    "$",
    "${env:",
    "}",
    "receivers",
    "exporters",
    "pipelines",
    "tcp",
    "otlp",
    "headers",
    "endpoint",
    "queue",
    "1",
    "1979-05-27",
    "é",
    "\\u12",
];

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        let _ = read(&text).map_err(|report| report.render(true));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&String::from_utf8_lossy(&bytes)).map_err(|report| report.render(true));
    }

    #[test]
    fn words_of_the_language(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        let _ = read(&words.concat()).map_err(|report| report.render(false));
    }

    #[test]
    fn a_right_file_with_a_wound(at in 0_usize..110, len in 0_usize..12, word in prop::sample::select(&WORDS[..])) {
        let right = with("");
        let end = (at + len).min(right.len());
        let text = format!("{}{word}{}", &right[..at.min(end)], &right[end..]);
        if let Err(report) = read(&text) {
            prop_assert!(report.errors() > 0);
            prop_assert!(report.render(false).contains("error: "));
        }
    }

    #[test]
    fn two_files_of_noise(one in "[\\[\\]a-z.='\n]{0,60}", two in "[\\[\\]a-z.='\n]{0,60}") {
        let sources = vec![Source::new("a", one), Source::new("b", two)];
        let _ = load(sources, &COMPONENTS, &Small).map_err(|report| report.render(false));
    }
}
