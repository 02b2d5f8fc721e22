//! The options of `otlp`, with the reason for each default.

use std::collections::BTreeMap;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use serde::Deserialize;
use tapetum_otlp::Temporality;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings};

use super::compress::Compression;

/// What a file may say.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) endpoint: String,
    pub(super) compression: Compression,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) timeout: Duration,
    pub(super) community_id: bool,
    pub(super) temporality: Since,
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
        help: "where the server listens for OTLP over gRPC; without a port it is 4317",
        why: "nobody can guess it",
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

/// Header names that are the protocol's own.
const RESERVED: [&str; 6] = [
    "te",
    "content-type",
    "content-length",
    "host",
    "user-agent",
    "connection",
];
const PORT: u16 = 4317;
/// The engine cuts a try off after this long.
const TIMEOUT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

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
    if let Err(message) = authority(&config.endpoint) {
        problems.push(Problem::at("endpoint", message));
    }
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

/// Host and port of an endpoint; the port is filled in.
pub(super) fn authority(endpoint: &str) -> Result<Authority, String> {
    let unreadable =
        || format!("`{endpoint}` is not an address: write for example http://collector:4317");
    let uri: Uri = endpoint.parse().map_err(|_| unreadable())?;
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err("https endpoints are not supported yet: use http://".to_owned());
    }
    let (Some(authority), true) = (uri.authority(), uri.scheme() == Some(&Scheme::HTTP)) else {
        return Err(unreadable());
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("gRPC has no path: write only http://host:port".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("no user in an endpoint: use `headers`".to_owned());
    }
    match authority.port_u16() {
        Some(_) => Ok(authority.clone()),
        None => format!("{}:{PORT}", authority.host())
            .parse()
            .map_err(|_| unreadable()),
    }
}

/// The headers of every request, marked as secrets.
pub(super) fn headers(config: &Config) -> Result<HeaderMap, String> {
    config
        .headers
        .iter()
        .map(|(name, value)| header(name, value))
        .collect()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let key: HeaderName = name
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| format!("`{name}` is not a header name"))?;
    if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("grpc-") {
        return Err(format!("`{name}` belongs to the protocol: leave it out"));
    }
    let mut value: HeaderValue = value
        .trim_end_matches(['\r', '\n'])
        .parse()
        .map_err(|_| "the value has characters that a header cannot have".to_owned())?;
    value.set_sensitive(true);
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use tapetum_testkit::settings;

    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let problems = |text: &str| {
            let text = format!(
                "{text}\ncompression = \"gzip\"\ntimeout = \"1s\"\ncommunity_id = false\ntemporality = \"delta\""
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
        assert_eq!(
            problems("endpoint = \"https://collector:4317\""),
            "endpoint: https endpoints are not supported yet: use http://"
        );
        assert!(problems("endpoint = \"collector:4317\"").contains("is not an address"));
        assert!(problems("endpoint = \"http://c:4318/v1/traces\"").contains("no path"));
        assert!(problems("endpoint = \"http://me@c\"").contains("no user"));
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
            "endpoint = \"http://c\"\ncompression = \"none\"\ntimeout = \"1h\"\ncommunity_id = false\ntemporality = \"delta\"",
        );
        assert_eq!(
            check(&slow)[0].message,
            "must be more than nothing and at most 30s"
        );
        let filled = authority("http://collector").unwrap();
        assert_eq!(filled.as_str(), "collector:4317");
    }
}
