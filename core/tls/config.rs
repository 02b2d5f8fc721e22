//! The keys of `tls`, the same words for whoever listens and whoever connects.

use std::path::PathBuf;

use rustls::pki_types::ServerName;
use serde::Deserialize;
use tapetum_pipeline::{Opt, OptKind, Problem};

/// What may stand behind `tls` of a component that listens.
pub const SERVER: OptKind = OptKind::Table(&[
    Opt {
        key: "cert",
        kind: OptKind::Path,
        default: None,
        optional: false,
        help: "PEM file of the certificate that is shown, its issuers behind it",
        why: "a server shows who it is",
    },
    Opt {
        key: "key",
        kind: OptKind::Path,
        default: None,
        optional: false,
        help: "PEM file of the certificate's private key",
        why: "without it the certificate proves nothing",
    },
    Opt {
        key: "client_ca",
        kind: OptKind::Path,
        default: None,
        optional: true,
        help: "PEM file of the authorities whose clients may connect: then each must show a certificate",
        why: "most senders have no certificate of their own",
    },
]);

/// What may stand behind `tls` of a component that connects.
pub const CLIENT: OptKind = OptKind::Table(&[
    Opt {
        key: "ca",
        kind: OptKind::Path,
        default: None,
        optional: true,
        help: "PEM file of the authorities that the server's certificate must come from",
        why: "those that this system trusts, or the public ones where it has none",
    },
    Opt {
        key: "cert",
        kind: OptKind::Path,
        default: None,
        optional: true,
        help: "PEM file of the certificate that is shown where the server asks for one",
        why: "most servers ask for none",
    },
    Opt {
        key: "key",
        kind: OptKind::Path,
        default: None,
        optional: true,
        help: "PEM file of the certificate's private key",
        why: "it goes with `cert`",
    },
    Opt {
        key: "server_name",
        kind: OptKind::Text,
        default: None,
        optional: true,
        help: "the name that the server's certificate must have",
        why: "the host of the endpoint",
    },
]);

/// The values of [`SERVER`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// What is shown.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whose clients may connect.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// The values of [`CLIENT`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// Whose servers are believed.
    pub ca: Option<PathBuf>,
    /// What is shown.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Which name is expected, if not the host's.
    pub server_name: Option<String>,
}

impl ClientTls {
    /// What is wrong with the values as they stand; the files are read when the component is built.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |key: &str, message: String| {
            problems.push(Problem {
                path: vec!["tls".to_owned(), key.to_owned()],
                message,
                hint: None,
            });
        };
        match (&self.cert, &self.key) {
            (Some(_), None) => add(
                "cert",
                "`cert` needs its private key: give `key` too".into(),
            ),
            (None, Some(_)) => add("key", "`key` needs its certificate: give `cert` too".into()),
            _ => {}
        }
        if let Some(name) = &self.server_name
            && ServerName::try_from(name.as_str()).is_err()
        {
            let message =
                format!("`{name}` is not a host name: write for example collector.example");
            add("server_name", message);
        }
        problems
    }
}
