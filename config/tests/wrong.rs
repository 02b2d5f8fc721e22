//! One test a way to be wrong: place, message and hint.

use super::{COMPONENTS, Small, lines_of, read, said, with};
use crate::{Source, load};

#[test]
fn unknown_keys_and_tables() {
    let text = with("[recievers.tcp]\n[service]\nclutser = 'c'\n[receivers.udp]\nbanana = 1\n");
    assert_eq!(
        said(&text),
        [
            "7:2 unknown table `recievers`",
            "9:1 unknown key `clutser`",
            "10:12 there is no receiver `udp`",
        ]
    );
    let report = read(&text).unwrap_err().render(false);
    assert!(report.contains("did you mean `receivers`?"), "{report}");
    assert!(report.contains("did you mean `cluster`?"), "{report}");
    assert!(report.contains("known: tcp"), "{report}");
}

#[test]
fn values_of_a_receiver() {
    for (line, message) in [
        ("sweep = 10", "expected a duration, found a whole number"),
        ("sweep = '10'", "`10` is not a duration"),
        (
            "sweep = '${env:NODE}'",
            "what is filled in here is not a duration",
        ),
        ("sweep = ['1s']", "expected a duration, found a list"),
        (
            "max_connections = '5'",
            "expected a whole number, found a text",
        ),
        (
            "max_connections = 0",
            "expected a whole number from 1 to 1000000",
        ),
        (
            "max_connections = 99999999999999999999",
            "expected a whole number from 1 to 1000000",
        ),
        ("max_connections = 13", "13 brings bad luck"),
        ("exclude = 'self'", "expected a list, found a text"),
        (
            "exclude = ['self', 'lopback']",
            "`lopback` is not one of the words for it",
        ),
    ] {
        let text = with("").replacen("[receivers.tcp]", &format!("[receivers.tcp]\n{line}"), 1);
        let said = said(&text);
        assert!(
            said.len() == 1 && said[0].ends_with(message),
            "{line}: {said:?}"
        );
    }
}

#[test]
fn values_of_an_exporter() {
    for (line, message) in [
        ("limit = '4'", "`4` is not a size"),
        ("limit = 4096", "expected a size, found a whole number"),
        ("headers = 'x'", "expected a table, found a text"),
        (
            "headers = { a = 1 }",
            "expected a text (a secret), found a whole number",
        ),
        ("ca = ''", "`` is not a path"),
        ("queue = { sise = '1KiB' }", "unknown key `sise`"),
        (
            "queue.full = 'drop'",
            "`drop` is not one of the words for it",
        ),
        (
            "queue.disk = '64MiB'",
            "`queue.disk` says nothing of a queue without a disk",
        ),
        (
            "queue = { full = 'spill', persist = true }",
            "`full` says what happens when that is full",
        ),
        (
            "queue = { size = '8MiB', full = 'spill', disk = '4MiB' }",
            "`queue.disk` is smaller than `queue.size`",
        ),
        (
            "queue = { persist = true, sync = '1s' }",
            "`1s` is not one of the words for it",
        ),
        (
            "retry.first = '1h'",
            "`retry.first` is longer than `retry.most`",
        ),
    ] {
        let text = with("").replacen("[exporters.otlp]", &format!("[exporters.otlp]\n{line}"), 1);
        let said = said(&text);
        assert!(
            said.len() == 1 && said[0].ends_with(message),
            "{line}: {said:?}"
        );
    }
}

#[test]
fn values_of_the_service() {
    assert_eq!(
        said(&with(
            "[service]\nadmin = ':9465'\nmemory = '1TiB'\ndrain = 1.5"
        )),
        [
            "8:9 `:9465` is not an address to listen on",
            "9:10 `1TiB` is not a size",
            "10:9 expected a duration, found a number with a fraction",
        ]
    );
    let text = with("").replace("http://c:4317", "c:4317");
    assert_eq!(said(&text), ["3:12 `c:4317` is not a URL"]);
}

#[test]
fn what_is_missing() {
    let text = with("").replace("endpoint = \"http://c:4317\"\n", "");
    assert_eq!(said(&text), ["2:12 `endpoint` is missing"]);
    assert_eq!(said(""), ["there is no pipeline"]);
    assert_eq!(
        said(&with("[pipelines.q]\nreceivers = []\nexporters = ['otlp']")),
        ["7:12 the pipeline has no receiver"]
    );
    assert_eq!(
        said(&with("[pipelines.q]\nexporters = ['otlp']")),
        ["7:12 `receivers` is missing"]
    );
}

#[test]
fn names_that_lead_nowhere() {
    let text = with(
        "[pipelines.q]\nreceivers = ['tpc', 'otlp']\nprocessors = ['k8s']\n\
                     exporters = ['otlp', 'otlp']\n[processors.sample]\n[receivers.prometheus]",
    );
    assert_eq!(
        said(&text),
        [
            "8:14 there is no receiver `tpc`",
            "8:21 there is no receiver `otlp`",
            "9:15 there is no processor `k8s`",
            "10:22 exporter `otlp` is named twice",
            "11:13 processor `sample` is in no pipeline",
            "12:12 there is no receiver `prometheus`",
        ]
    );
    let report = read(&text).unwrap_err().render(false);
    for hint in [
        "did you mean `tcp`?",
        "`otlp` is one of the exporters",
        "add a table [processors.k8s]",
        "`prometheus` is one of the exporters: write [exporters.prometheus]",
    ] {
        assert!(report.contains(hint), "{hint}:\n{report}");
    }
}

#[test]
fn signals_and_policies_that_do_not_fit() {
    let text = with(
        "[exporters.prometheus]\n[pipelines.q]\nreceivers = ['tcp']\n\
         exporters = ['prometheus', 'otlp']",
    )
    .replacen(
        "[exporters.otlp]",
        "[exporters.otlp]\nqueue.full = 'block'",
        1,
    );
    let said = said(&text);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("11:14 ") && said[0].contains("prometheus"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("11:28 exporter `otlp` blocks"),
        "{said:?}"
    );
}

#[test]
fn a_queue_where_nothing_waits() {
    let text = with(
        "[exporters.prometheus]\nqueue = { size = '1MiB' }\n[processors.aggregate]\n\
         [pipelines.q]\nreceivers = ['tcp']\nprocessors = ['aggregate']\nexporters = ['prometheus']",
    );
    assert_eq!(said(&text), ["8:1 unknown key `queue`"]);
}

#[test]
fn shapes_that_are_no_table() {
    assert_eq!(
        said("service = 1\nreceivers = []\n[[exporters.otlp]]\n[pipelines]\np = 'x'"),
        [
            "1:11 expected a table, found a whole number",
            "2:1 expected a table, found a list",
            "3:13 expected a table, found a list",
            "5:5 expected a table, found a text",
            "there is no pipeline",
        ]
    );
}

#[test]
fn names_after_the_slash() {
    let text = with("[receivers.\"tcp/\"]\n").replace("[\"tcp\"]", "[\"tcp\", \"tcp/\"]");
    assert_eq!(
        said(&text),
        ["7:12 a name after the `/` is of letters, digits, `-`, `_` and `.`"]
    );
}

#[test]
fn twice_in_two_files_names_both_places() {
    let one = Source::new("/a/one.toml", with("[service]\ncluster = 'a'\n"));
    let two = Source::new(
        "/a/two.toml",
        "[service]\ncluster = 'b'\n[receivers.tcp]\n[pipelines.p]\n",
    );
    let report = load(vec![one, two], &COMPONENTS, &Small).unwrap_err();
    assert_eq!(
        lines_of(&report),
        [
            "two.toml:2:1 `cluster` of [service] is defined twice",
            "two.toml:3:12 [receivers.tcp] is defined twice",
            "two.toml:4:12 [pipelines.p] is defined twice",
        ]
    );
    let text = report.render(false);
    for first in [
        "/a/one.toml:8:1",
        "/a/one.toml:1:12",
        "/a/one.toml:4:12",
        "^ first defined here",
    ] {
        assert!(text.contains(first), "{first}:\n{text}");
    }
}

#[test]
fn syntax_errors_of_all_lines_and_what_else_is_there() {
    let text = "[receivers.tcp]\nsweep = 10x\nsweeep = '1s'\nexclude = ['me']\n[exporters.otlp\n";
    assert_eq!(
        said(text),
        [
            "2:9 not TOML here: string values must be quoted, expected literal string",
            "3:1 unknown key `sweeep`",
            "4:12 this is not one of the words for it",
            "5:16 not TOML here: unclosed table, expected `]`",
        ],
        "what is absent is not said to be missing, what follows from an error is not said"
    );
}

#[test]
fn more_than_the_budget() {
    let said = said(&with("[service]\nmemory = '9MiB'\n"));
    let [line] = &said[..] else {
        panic!("{said:?}")
    };
    assert!(
        line.starts_with("8:1 the pipelines can take ")
            && line.contains("but `service.memory` is 9MiB: raise it, or lower the largest: ")
            && line.contains("`queue.size` of [exporters.otlp] 16 MiB"),
        "{line}"
    );
    assert!(read(&with("[service]\nmemory = '1GiB'\n")).is_ok());
}
