//! TLS for receivers and exporters alike: certificates and keys from files, read again when they change.
//!
//! A component puts [`SERVER`] or [`CLIENT`] behind its key `tls`, reads the table as [`ServerTls`] or
//! [`ClientTls`], and opens a [`Server`] or [`Client`] of it while it is built: a file that cannot be read,
//! is not what it should be, or a key of another certificate ends the start with a sentence. Afterwards each
//! handshake looks whether a file changed. What cannot be used then is said, and what was good stays in use.

mod client;
mod config;
mod error;
mod pem;
mod reread;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::Client;
pub use config::{CLIENT, ClientTls, SERVER, ServerTls};
pub use error::TlsError;
pub use server::Server;
pub use tokio_rustls::{client::TlsStream as ClientStream, server::TlsStream as ServerStream};

/// The protocols that are spoken inside, as the handshake names them.
pub mod alpn {
    /// HTTP/2, and so gRPC.
    pub const H2: &[u8] = b"h2";
    /// HTTP/1.1.
    pub const HTTP1: &[u8] = b"http/1.1";
}

/// The one provider of cryptography: pure to build, and the same everywhere.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
