//! The side that listens.

use std::io;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{Error, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::reread::Reread;
use crate::{ServerStream, ServerTls, TlsError, pem, provider};

/// Accepts TLS connections with the certificate that is in the file now.
pub struct Server(Reread<ServerConfig>);

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// Whatever is wrong with them, with what to do.
    pub fn open(tls: &ServerTls, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let mut files = vec![tls.cert.clone(), tls.key.clone()];
        files.extend(tls.client_ca.clone());
        let tls = tls.clone();
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|one| one.to_vec()).collect();
        let make = Box::new(move || config(&tls, &protocols));
        Ok(Self(Reread::open(files, make)?))
    }

    /// The handshake of a connection. It takes as long as its peer likes: a caller limits it.
    ///
    /// # Errors
    /// The peer is gone, speaks something else, or has not the certificate that it needs.
    pub async fn accept<S>(&self, stream: S) -> io::Result<ServerStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.value()).accept(stream).await
    }

    /// What is wrong with the files since they changed; `None` where all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble()
    }
}

fn config(tls: &ServerTls, protocols: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
    let other = |why: Error| TlsError::Other(why.to_string());
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(other)?;
    let builder = match &tls.client_ca {
        Some(path) => {
            let roots = Arc::new(pem::authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|why| TlsError::Other(why.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = (pem::chain(&tls.cert)?, pem::key(&tls.key)?);
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|why| pem::of_pair(&tls.cert, &tls.key, &why))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}
