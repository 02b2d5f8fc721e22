//! What can be wrong with a file, and what to do.

use std::io;
use std::path::PathBuf;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {why}: give a PEM file that this process may read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A file has other bytes than it should.
    #[error("`{path}` is no PEM file of {expected}: {why}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A file is PEM, but of something else.
    #[error("`{path}` holds no {expected}: a PEM file of one begins with `{head}`")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// How that begins.
        head: &'static str,
    },
    /// A certificate inside cannot be used.
    #[error("a certificate in `{path}` cannot be used: {why}")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Certificate and key are not a pair.
    #[error(
        "the key in `{key}` is not that of the certificate in `{cert}`: give the two that were made together"
    )]
    Mismatch {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// Something else that the library says.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}
