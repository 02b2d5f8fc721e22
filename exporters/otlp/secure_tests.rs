//! Certificates and tokens: who is believed, what is shown, and that both may change while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapetum_model::Signal;
use tapetum_pipeline::{Outcome, Settings};
use tapetum_testkit::certificates::Authority;
use tapetum_testkit::{Held, context, context_at, settings};
use tapetum_tls::{ServerTls, alpn};

use super::build;
use super::server::{Reply, Server};
use super::tests::{delivered, exporter, made, message, values};

#[tokio::test]
async fn both_sides_show_who_they_are_and_certificates_change_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let shown = authority.issue("server", "collector.example");
    let own = authority.issue("client", "agent.example");
    let ca = folder.path().join("authority.pem");
    let tls = ServerTls {
        cert: shown.cert,
        key: shown.key,
        client_ca: Some(ca.clone()),
    };
    let tls = tapetum_tls::Server::open(&tls, &[alpn::H2]).unwrap();
    let server = Server::start_tls([Reply::GoAway, Reply::GoAway], tls).await;
    let named = format!(
        "tls = {{ ca = \"{}\", cert = \"{}\", key = \"{}\", server_name = \"collector.example\" }}",
        ca.display(),
        own.cert.display(),
        own.key.display()
    );
    let mut known = exporter(&server.endpoint, &named);
    assert_eq!(known.export(message(Signal::Traces)).await, delivered());

    // Another authority: who connects now is not known any more, and then is again.
    let stranger = Authority::new(&folder.path().join("."), "stranger");
    stranger.issue("client", "agent.example");
    let outcome = known.export(message(Signal::Traces)).await;
    assert!(matches!(outcome, Outcome::Retryable { .. }), "{outcome:?}");
    authority.issue("client", "agent.example");
    assert_eq!(known.export(message(Signal::Traces)).await, delivered());

    let strangers = folder.path().join("stranger.pem");
    for (tls, said) in [
        (format!("ca = \"{}\"", ca.display()), "localhost"),
        (
            format!(
                "ca = \"{}\", server_name = \"collector.example\"",
                strangers.display()
            ),
            "TLS",
        ),
    ] {
        let mut other = exporter(&server.endpoint, &format!("tls = {{ {tls} }}"));
        let outcome = other.export(message(Signal::Traces)).await;
        let Outcome::Retryable { message, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_file_that_is_no_certificate_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, "none").unwrap();
    let table = values(
        "https://localhost",
        &format!("tls = {{ ca = \"{}\" }}", ca.display()),
    );
    let why = build(&settings(&table), &context("otlp")).err();
    let why = why.expect("it is none");
    assert!(why.message.contains("ca.pem"), "{}", why.message);
}

/// Settings with a token that the test replaces.
fn with_token(endpoint: &str, token: &Arc<Mutex<Option<String>>>) -> Settings {
    let headers = "headers = { authorization = \"Bearer first\", fixed = \"as it is\" }";
    let token = Arc::clone(token);
    let renewal = move || token.lock().unwrap().clone();
    let path = vec!["headers".to_owned(), "authorization".to_owned()];
    let renewals = BTreeMap::from([(path, Arc::new(renewal) as _)]);
    settings(&values(endpoint, headers)).with_renewals(renewals)
}

fn tokens(server: &Server) -> Vec<String> {
    let seen = server.seen();
    assert!(seen.iter().all(|one| one.headers["fixed"] == "as it is"));
    let tokens = seen.iter().map(|one| &one.headers["authorization"]);
    tokens.map(|one| one.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_token_is_read_again() {
    let server = Server::start([]).await;
    let token = Arc::new(Mutex::new(Some("Bearer first".to_owned())));
    let clock = Arc::new(Held::default());
    let context = context_at("otlp", Arc::clone(&clock) as _);
    let mut exporter = made(&with_token(&server.endpoint, &token), &context);
    let values = [
        Some("Bearer second"),
        None,
        Some("no\nheader"),
        Some("Bearer third"),
    ];
    for value in values {
        for _ in 0..2 {
            assert_eq!(exporter.export(message(Signal::Logs)).await, delivered());
            // What it is replaced with cannot be seen yet.
            *token.lock().unwrap() = value.map(str::to_owned);
        }
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(exporter.export(message(Signal::Logs)).await, delivered());
    let first = ["Bearer first"; 2];
    let second = ["Bearer second"; 6];
    assert_eq!(
        tokens(&server),
        [&first[..], &second, &["Bearer third"]].concat()
    );
}

#[tokio::test]
async fn a_server_that_does_not_know_the_token_is_asked_again_with_the_new_one_only() {
    let unknown = || Reply::Status(16, Vec::new());
    let yes = || Reply::Message(Vec::new());
    let server = Server::start([yes(), unknown(), yes(), unknown()]).await;
    let token = Arc::new(Mutex::new(Some("Bearer first".to_owned())));
    let context = context_at("otlp", Arc::new(Held::default()));
    let mut exporter = made(&with_token(&server.endpoint, &token), &context);
    assert_eq!(exporter.export(message(Signal::Logs)).await, delivered());
    *token.lock().unwrap() = Some("Bearer second".to_owned());
    assert_eq!(exporter.export(message(Signal::Logs)).await, delivered());
    let outcome = exporter.export(message(Signal::Logs)).await;
    assert!(matches!(outcome, Outcome::Permanent { .. }), "{outcome:?}");
    assert_eq!(
        tokens(&server),
        [
            "Bearer first",
            "Bearer first",
            "Bearer second",
            "Bearer second"
        ]
    );
}
