//! Certificates for tests: an authority of one's own that issues pairs into a folder.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

/// An authority that nobody believes who was not told to.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its private key, as files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// PEM of the certificate.
    pub cert: PathBuf,
    /// PEM of the key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one; its certificate is `NAME.pem` in `folder`.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        fs::write(folder.join(format!("{name}.pem")), issuer.pem()).expect("a folder");
        Self {
            issuer,
            folder: folder.to_owned(),
        }
    }

    /// Issues a pair for a host, as `NAME-cert.pem` and `NAME-key.pem`; what was there is replaced.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn issue(&self, name: &str, host: &str) -> Pair {
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair {
            cert: self.folder.join(format!("{name}-cert.pem")),
            key: self.folder.join(format!("{name}-key.pem")),
        };
        fs::write(&pair.cert, cert.pem()).expect("a folder");
        fs::write(&pair.key, key.serialize_pem()).expect("a folder");
        pair
    }
}
