//! The options of `otlp`, with the reason for each default.

use std::time::Duration as Time;

use serde::Deserialize;
use tapetum_pipeline::{Bound, Duration, Opt, OptKind, Problem, Settings, Size};
use tapetum_tls::ServerTls;

use super::listen::Speaks;

/// What a file may say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) grpc: Option<String>,
    #[serde(default)]
    pub(super) http: Option<String>,
    #[serde(default)]
    pub(super) tls: Option<ServerTls>,
    pub(super) max_message: Size,
    pub(super) max_connections: usize,
    pub(super) max_streams: u32,
    pub(super) buffer: Size,
    pub(super) timeout: Duration,
    pub(super) idle: Duration,
    #[serde(default)]
    pub(super) age: Option<Duration>,
}

/// What connections may take, of memory and of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) streams: u32,
    pub(super) timeout: Time,
    pub(super) idle: Time,
    pub(super) age: Option<Time>,
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "grpc",
        kind: OptKind::Listen,
        default: None,
        optional: true,
        help: "where OTLP over gRPC is taken, for example 0.0.0.0:4317",
        why: "nothing listens that nobody asked for",
    },
    Opt {
        key: "http",
        kind: OptKind::Listen,
        default: None,
        optional: true,
        help: "where OTLP over HTTP is taken, for example 0.0.0.0:4318; with the address of `grpc` one port takes both",
        why: "nothing listens that nobody asked for",
    },
    Opt {
        key: "tls",
        kind: tapetum_tls::SERVER,
        default: None,
        optional: true,
        help: "TLS for all that listens; files are read again when they change",
        why: "inside of a cluster most senders have no certificates to check with",
    },
    Opt {
        key: "max_message",
        kind: OptKind::Size,
        default: Some("\"4MiB\""),
        optional: false,
        help: "the longest request, before and after it is decompressed",
        why: "what gRPC servers behind this one take, unless they were told otherwise",
    },
    Opt {
        key: "max_connections",
        kind: OptKind::Integer {
            min: 1,
            max: 65_536,
        },
        default: Some("128"),
        optional: false,
        help: "connections at once; beyond, they are closed at once and counted",
        why: "each may take 160 KiB: a gateway of many agents says how many they are",
    },
    Opt {
        key: "max_streams",
        kind: OptKind::Integer { min: 1, max: 1_000 },
        default: Some("100"),
        optional: false,
        help: "requests at once on a connection of HTTP/2",
        why: "the least that the protocol recommends; a sender waits for answers long before",
    },
    Opt {
        key: "buffer",
        kind: OptKind::Size,
        default: Some("\"16MiB\""),
        optional: false,
        help: "memory for all requests that are being received; beyond, they are told to come back",
        why: "four of the longest at once; one is here for milliseconds before a queue has it",
    },
    Opt {
        key: "timeout",
        kind: OptKind::Duration,
        default: Some("\"10s\""),
        optional: false,
        help: "how long a sender may take for a handshake, and for a request from its first byte to its last",
        why: "OpenTelemetry's own time-out of a sender: nobody waits longer",
    },
    Opt {
        key: "idle",
        kind: OptKind::Duration,
        default: Some("\"5m\""),
        optional: false,
        help: "a connection without a request is closed after this long",
        why: "a sender that sends once a minute keeps its connection, one that is gone does not",
    },
    Opt {
        key: "age",
        kind: OptKind::Duration,
        default: None,
        optional: true,
        help: "a connection is closed in order after about this long, so that senders spread again over replicas",
        why: "with one replica there is nothing to spread over",
    },
];

/// What a connection may hold beside its window: buffers of the transport and of TLS, and its state.
const CONNECTION_BYTES: u64 = 96 << 10;
/// HTTP/2 lets nobody begin with less.
pub(super) const WINDOW_MIN: u32 = 65_535;
/// Room for the windows that are greater.
pub(super) const WINDOWS_BYTES: u64 = 16 << 20;
/// Requests at once, over all connections: each has its header fields.
pub(super) const REQUESTS_MAX: usize = 256;
/// The longest header of a request.
pub(super) const HEADER_MAX: u32 = 8 << 10;

pub(super) fn check(settings: &Settings) -> Vec<Problem> {
    let Ok(config) = settings.read::<Config>() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if config.grpc.is_none() && config.http.is_none() {
        problems.push(Problem {
            path: Vec::new(),
            message: "it listens nowhere: give `grpc`, `http` or both".to_owned(),
            hint: Some("for example grpc = \"0.0.0.0:4317\"".to_owned()),
        });
    }
    if config.max_message.0 < 1 << 10 || config.max_message.0 > 1 << 30 {
        problems.push(Problem::at("max_message", "must be between 1KiB and 1GiB"));
    }
    if config.buffer.0 < config.max_message.0 {
        let message =
            "must not be smaller than `max_message`: no request of that length would pass";
        problems.push(Problem::at("buffer", message));
    }
    let times = [
        ("timeout", Some(config.timeout)),
        ("idle", Some(config.idle)),
        ("age", config.age),
    ];
    for (key, time) in times {
        if time.is_some_and(|time| time.0 < Time::from_millis(100)) {
            problems.push(Problem::at(key, "must be at least 100ms"));
        }
    }
    problems
}

pub(super) fn bound(settings: &Settings) -> Bound {
    let Ok(config) = settings.read::<Config>() else {
        return Bound::default();
    };
    let connection = u64::from(WINDOW_MIN) + CONNECTION_BYTES;
    let requests = REQUESTS_MAX as u64 * 2 * u64::from(HEADER_MAX);
    Bound {
        user_bytes: config.max_connections as u64 * connection
            + WINDOWS_BYTES
            + config.buffer.0
            + requests,
        kernel_bytes: 0,
    }
}

impl Config {
    /// Where it listens, and what is spoken there.
    pub(super) fn doors(&self) -> Vec<(&str, Speaks)> {
        match (&self.grpc, &self.http) {
            (Some(grpc), Some(http)) if grpc == http => vec![(grpc, Speaks::Both)],
            (grpc, http) => {
                let grpc = grpc.iter().map(|address| (address.as_str(), Speaks::Grpc));
                let http = http.iter().map(|address| (address.as_str(), Speaks::Http));
                grpc.chain(http).collect()
            }
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            connections: self.max_connections,
            streams: self.max_streams,
            timeout: self.timeout.0,
            idle: self.idle.0,
            age: self.age.map(|age| age.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use tapetum_testkit::settings;

    use super::super::tests::file;
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_documents_and_right() {
        for option in OPTIONS {
            let Some(default) = option.default else {
                continue;
            };
            let line = format!("{} = {default}", option.key);
            assert!(file("").contains(&line), "{line}");
        }
        let problems = check(&settings(&file("http = \"127.0.0.1:4318\"")));
        assert_eq!(problems, []);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let said = |more: &str| {
            let problems = check(&settings(&file(more)));
            let said = problems.iter().map(|problem| &*problem.message);
            said.collect::<Vec<_>>().join("; ")
        };
        assert!(said("").contains("it listens nowhere"));
        let grpc = |more: &str| said(&format!("grpc = \"127.0.0.1:1\"\n{more}"));
        assert!(grpc("max_message = \"1B\"").contains("between 1KiB and 1GiB"));
        assert!(grpc("buffer = \"1MiB\"").contains("smaller than `max_message`"));
        assert!(grpc("timeout = \"1ms\"").contains("at least 100ms"));
        assert!(grpc("age = \"1ms\"").contains("at least 100ms"));
    }

    #[test]
    fn the_bound_is_what_the_readme_says() {
        let bytes = |more: &str| bound(&settings(&file(more))).user_bytes;
        assert!(bytes("") <= 56 << 20, "{}", bytes(""));
        let more = bytes("max_connections = 1128") - bytes("");
        assert_eq!(more, 1_000 * (u64::from(WINDOW_MIN) + CONNECTION_BYTES));
    }
}
