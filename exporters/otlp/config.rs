//! The options of `otlp`, with the reason for each default.

use std::collections::BTreeMap;

use serde::Deserialize;
use tapetum_otlp::{Form, Temporality};
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings};
use tapetum_tls::ClientTls;

use super::compress::Compression;
use super::endpoint::Endpoint;
use super::headers::header;

/// What a file may say.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) endpoint: String,
    pub(super) protocol: Protocol,
    #[serde(default)]
    pub(super) tls: Option<ClientTls>,
    pub(super) compression: Compression,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) timeout: Duration,
    pub(super) r#as: As,
    pub(super) community_id: bool,
    pub(super) temporality: Since,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// What a connection becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum As {
    Span,
    Log,
}

/// Since when a metric's value counts.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Since {
    Cumulative,
    Delta,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "endpoint",
        kind: OptKind::Url,
        default: None,
        optional: false,
        help: "where the server listens; without a port it is 4317, with `protocol = \"http\"` 4318, of https 443",
        why: "nobody can guess it",
    },
    Opt {
        key: "protocol",
        kind: OptKind::Choice(&["grpc", "http"]),
        default: Some("\"grpc\""),
        optional: false,
        help: "what carries the messages: gRPC, or HTTP with protobuf to /v1/traces, /v1/metrics and /v1/logs",
        why: "a server is slowed down and drained more precisely by gRPC; HTTP is for what stands in between",
    },
    Opt {
        key: "tls",
        kind: tapetum_tls::CLIENT,
        default: None,
        optional: true,
        help: "who is believed and what is shown, of an endpoint that is https",
        why: "the authorities that this system trusts, and no certificate of one's own",
    },
    Opt {
        key: "compression",
        kind: OptKind::Choice(&["gzip", "zstd", "none"]),
        default: Some("\"gzip\""),
        optional: false,
        help: "how requests are compressed; what the server refuses is replaced: zstd by gzip, gzip by none",
        why: "every server takes it, and spans shrink to an eighth; zstd is cheaper where it is taken",
    },
    Opt {
        key: "headers",
        kind: OptKind::Map(&OptKind::Secret),
        default: None,
        optional: true,
        help: "sent with each request, for example `authorization`",
        why: "only a server that asks for them needs them",
    },
    Opt {
        key: "timeout",
        kind: OptKind::Duration,
        default: Some("\"10s\""),
        optional: false,
        help: "how long one request may take, connecting included",
        why: "OpenTelemetry's own default; after it the request is sent again",
    },
    Opt {
        key: "as",
        kind: OptKind::Choice(&["span", "log"]),
        default: Some("\"span\""),
        optional: false,
        help: "what a connection becomes: a span, or a log record with the same attributes",
        why: "spans of both ends make one trace; log records are for a backend that has no traces",
    },
    Opt {
        key: "community_id",
        kind: OptKind::Bool,
        default: Some("false"),
        optional: false,
        help: "each span says its Community ID (`flow.community_id`), as Zeek and Suricata compute it",
        why: "55 bytes a span, and only who has such tools needs it",
    },
    Opt {
        key: "temporality",
        kind: OptKind::Choice(&["cumulative", "delta"]),
        default: Some("\"cumulative\""),
        optional: false,
        help: "whether a counter or histogram counts since its series began, or since the last flush",
        why: "a message that is lost costs nothing but its moment; with delta it is missing from the sum",
    },
];

/// The engine cuts a try off after this long.
const TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

impl From<As> for Form {
    fn from(wanted: As) -> Self {
        match wanted {
            As::Span => Self::Span,
            As::Log => Self::Log,
        }
    }
}

impl From<Since> for Temporality {
    fn from(since: Since) -> Self {
        match since {
            Since::Cumulative => Self::Cumulative,
            Since::Delta => Self::Delta,
        }
    }
}

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    match Endpoint::parse(&config.endpoint, config.protocol) {
        Err(message) => problems.push(Problem::at("endpoint", message)),
        Ok(endpoint) if !endpoint.is_secure && config.tls.is_some() => {
            let message = "`tls` of an endpoint that is http: it would go in the clear";
            let mut problem = Problem::at("tls", message);
            problem.hint = Some("write https:// in `endpoint`, or leave `tls` out".into());
            problems.push(problem);
        }
        Ok(_) => {}
    }
    problems.extend(config.tls.iter().flat_map(ClientTls::problems));
    for (name, value) in &config.headers {
        if let Err(message) = header(name, value) {
            problems.push(Problem {
                path: vec!["headers".to_owned(), name.clone()],
                message,
                hint: None,
            });
        }
    }
    if config.timeout.0.is_zero() || config.timeout.0 > TIMEOUT_MAX {
        let most = format!("must be more than nothing and at most {TIMEOUT_MAX:?}");
        problems.push(Problem::at("timeout", most));
    }
    problems
}

/// A message is held once as it is and once compressed; the encoder's scratch is smaller.
pub(super) fn bound(_: &Settings) -> Bound {
    Bound {
        user_bytes: 2 * tapetum_otlp::MESSAGE_BYTES_MAX as u64 + (2 << 20),
        kernel_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use tapetum_testkit::settings;

    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let problems = |text: &str| {
            let text = format!(
                "{text}\nprotocol = \"grpc\"\ncompression = \"gzip\"\ntimeout = \"1s\"\nas = \"log\"\ncommunity_id = false\ntemporality = \"delta\""
            );
            let problems = check(&settings(&text));
            problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.path.join("."), problem.message))
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert_eq!(problems("endpoint = \"http://collector\""), "");
        assert_eq!(problems("endpoint = \"http://[::1]:4317/\""), "");
        let tls = "tls = { cert = \"/c\", server_name = \"a b\" }";
        let said = problems(&format!("endpoint = \"https://collector\"\n{tls}"));
        assert!(
            said.contains("tls.cert: `cert` needs its private key"),
            "{said}"
        );
        assert!(
            said.contains("tls.server_name: `a b` is not a host name"),
            "{said}"
        );
        let said = problems("endpoint = \"http://collector\"\ntls = { ca = \"/ca\" }");
        assert!(
            said.contains("tls: `tls` of an endpoint that is http"),
            "{said}"
        );
        assert!(problems("endpoint = \"collector:4317\"").contains("is not an address"));
        let headers = "endpoint = \"http://c\"\nheaders = { te = \"x\", \"a b\" = \"x\", ok = \"a\\u0000b\" }";
        let said = problems(headers);
        assert!(
            said.contains("headers.te: `te` belongs to the protocol"),
            "{said}"
        );
        assert!(
            said.contains("headers.a b: `a b` is not a header name"),
            "{said}"
        );
        assert!(
            said.contains("headers.ok: the value has characters"),
            "{said}"
        );
        assert!(!said.contains("a\0b"), "a secret is not shown");
        let slow = settings(
            "endpoint = \"http://c\"\nprotocol = \"http\"\ncompression = \"none\"\ntimeout = \"1h\"\nas = \"span\"\ncommunity_id = false\ntemporality = \"delta\"",
        );
        assert_eq!(
            check(&slow)[0].message,
            "must be more than nothing and at most 30s"
        );
    }
}
