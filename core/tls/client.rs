//! The side that connects.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::reread::Reread;
use crate::{ClientStream, ClientTls, TlsError, pem, provider};

/// Connects by TLS with the authorities and the certificate that are in the files now.
pub struct Client {
    config: Reread<ClientConfig>,
    server_name: Option<String>,
}

impl Client {
    /// Reads the files.
    ///
    /// # Errors
    /// Whatever is wrong with them, with what to do.
    pub fn open(tls: &ClientTls, protocols: &[&[u8]]) -> Result<Self, TlsError> {
        let files = [&tls.ca, &tls.cert, &tls.key].into_iter().flatten();
        let files = files.cloned().collect();
        let server_name = tls.server_name.clone();
        let tls = tls.clone();
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|one| one.to_vec()).collect();
        let make = Box::new(move || config(&tls, &protocols));
        Ok(Self {
            config: Reread::open(files, make)?,
            server_name,
        })
    }

    /// The handshake of a connection to `host`, which is a name or an address.
    ///
    /// # Errors
    /// The server is gone, speaks something else, is not who it should be, or does not know us.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<ClientStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.server_name.as_deref();
        let name = name
            .unwrap_or_else(|| host.trim_matches(['[', ']']))
            .to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        TlsConnector::from(self.config.value())
            .connect(name, stream)
            .await
    }

    /// What is wrong with the files since they changed; `None` where all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.config.trouble()
    }
}

fn config(tls: &ClientTls, protocols: &[Vec<u8>]) -> Result<ClientConfig, TlsError> {
    let roots = match &tls.ca {
        Some(path) => pem::authorities(path)?,
        None => trusted(),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|why: Error| TlsError::Other(why.to_string()))?
        .with_root_certificates(Arc::new(roots));
    let mut config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(pem::chain(cert)?, pem::key(key)?)
            .map_err(|why| pem::of_pair(cert, key, &why))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.to_vec();
    Ok(config)
}

/// Whom this system trusts; an image from scratch says nothing of it, and the public authorities stand in.
fn trusted() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}
