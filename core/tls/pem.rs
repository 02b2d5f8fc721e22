//! Certificates, keys and authorities out of PEM files.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::TlsError;

const CERTIFICATE: (&str, &str) = ("certificate", "-----BEGIN CERTIFICATE-----");
const KEY: (&str, &str) = ("private key", "-----BEGIN PRIVATE KEY-----");

/// A certificate and its issuers.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(empty(path, CERTIFICATE)),
        Ok(chain) => Ok(chain),
        Err(why) => Err(not_pem(path, CERTIFICATE, &why)),
    }
}

/// A private key.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_slice(&read(path)?) {
        Ok(key) => Ok(key),
        Err(Error::NoItemsFound) => Err(empty(path, KEY)),
        Err(why) => Err(not_pem(path, KEY, &why)),
    }
}

/// The authorities that are believed.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in chain(path)? {
        store
            .add(certificate)
            .map_err(|why| TlsError::BadCertificate {
                path: path.to_owned(),
                why: why.to_string(),
            })?;
    }
    Ok(store)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|why| TlsError::Unreadable {
        path: path.to_owned(),
        why,
    })
}

fn empty(path: &Path, (expected, head): (&'static str, &'static str)) -> TlsError {
    TlsError::Empty {
        path: path.to_owned(),
        expected,
        head,
    }
}

fn not_pem(path: &Path, (expected, _): (&'static str, &'static str), why: &Error) -> TlsError {
    TlsError::NotPem {
        path: path.to_owned(),
        expected,
        why: why.to_string(),
    }
}

/// What the library says of a certificate and a key, in the words of a file.
pub(crate) fn of_pair(cert: &Path, key: &Path, why: &rustls::Error) -> TlsError {
    match why {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
        },
        rustls::Error::InvalidCertificate(why) => TlsError::BadCertificate {
            path: cert.to_owned(),
            why: why.to_string(),
        },
        other => TlsError::NotPem {
            path: key.to_owned(),
            expected: KEY.0,
            why: other.to_string(),
        },
    }
}
