//! No secret in anything that is printed, whatever else is wrong around it.

use std::io;
use std::path::Path;

use super::{COMPONENTS, Small, read, with};
use crate::{Host, Source, World, load};

fn with_otlp(line: &str) -> String {
    with("").replacen("[exporters.otlp]", &format!("[exporters.otlp]\n{line}"), 1)
}

#[test]
fn a_secret_is_hidden_beside_every_error() {
    for text in [
        with_otlp("headers = { a = \"hush-hush\", b = 1 }"),
        with_otlp("headers = { a = \"hush-hush\" }\nnothing = 1"),
        with_otlp("headers = { a = \"hush-hush\" } , 5"),
        with_otlp("headers = { a = \"hush-hush }"),
        with_otlp("headers = { a = hush-hush }"),
        with_otlp("heders = { a = \"hush-hush\" }"),
        with_otlp("headers.a = \"\"\"\nhush-hush\nhush-hush\"\"\" 5"),
        with_otlp("headers.a = \"${env:NO}hush-hush\""),
        with_otlp("headers = \"hush-hush\""),
        with_otlp("headers = [\"hush-hush\"]"),
        with_otlp("limit = '${env:TOKEN}'"),
        with_otlp("limit = '${file:token}'"),
        with_otlp("queue.full = '${env:TOKEN}'"),
        with("").replace("http://c", "http://me:hush-hush@c"),
        with("").replace("http://c", "http://${env:TOKEN}@c"),
        with("[service]\ntrace_key = hush-hush"),
        with("[service]\ntrace_key = \"hush-hush"),
        with("[service]\ntrace_kye = \"hush-hush\""),
        with("[servce]\ntrace_key = \"hush-hush\""),
        with("[exporters.otlp.headers]\na = \"hush-hush\" x"),
        with("[exporters]\nkafka = { token = \"hush-hush\" }"),
        with("[exporters.\"otlp/b\".headers]\n\nauthorization = Bearer hush-hush"),
        "trace_key = 'hush-hush'".to_owned(),
        "headers = hush-hush".to_owned(),
    ] {
        let report = read(&text).expect_err(&text);
        for printed in [
            report.render(true),
            format!("{report:?}"),
            format!("{report}"),
        ] {
            assert!(!printed.contains("hush-"), "{text}\n{printed}");
        }
    }
}

#[test]
fn a_secret_is_not_in_a_graph_that_is_printed() {
    let text = with("[service]\ntrace_key = 'hush-hush'").replacen(
        "[exporters.otlp]",
        "[exporters.otlp]\nheaders.a = 'hush-hush'",
        1,
    );
    let printed = format!("{:#?}", read(&text).unwrap());
    assert!(!printed.contains("hush-hush"), "{printed}");
}

#[test]
fn a_secret_out_of_a_file_can_be_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").expect("a file");
    let text = with_otlp(
        "headers = { authorization = \"Bearer ${file:token}\", fixed = \"x\", of_env = \"${env:TOKEN}\" }",
    );
    let file = folder.path().join("tapetum.toml");
    let source = Source::new(&*file.to_string_lossy(), &text);
    let spec = load(vec![source], &COMPONENTS, &Rotated).expect("it is right");
    let settings = &spec.exporters[0].settings;
    let again = settings.renewal(&["headers", "authorization"]);
    let again = again.expect("it comes out of a file");
    std::fs::write(&token, "second\n").expect("a file");
    assert_eq!(again().as_deref(), Some("Bearer second"));
    std::fs::remove_file(&token).expect("a file");
    assert_eq!(again(), None);
    for other in ["fixed", "of_env"] {
        assert!(settings.renewal(&["headers", other]).is_none(), "{other}");
    }
}

/// Variables of a test, files of the host.
struct Rotated;

impl World for Rotated {
    fn variable(&self, name: &str) -> Option<String> {
        Small.variable(name)
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        Host.text(path)
    }
}
