//! Certificates and keys as Secrets hold them: PEM that is read once, and refused where nobody could use it. Pure.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::x509;

/// What vouches for a server's certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Roots {
    /// The store of the machine that the operator runs on.
    System,
    /// These, in DER; at least one.
    Given(Arc<[CertificateDer<'static>]>),
}

/// A certificate, the chain to its root, and its key. Shows nothing, as there is no Debug.
#[derive(PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Belongs to the first certificate.
    pub key: PrivateKeyDer<'static>,
}

/// What a resource's Secrets hold for its connection, beside the settings.
#[derive(Clone, Default)]
pub struct Certificates {
    /// What vouches for the server.
    pub roots: Option<Arc<[CertificateDer<'static>]>>,
    /// What vouches for us.
    pub client: Option<Arc<ClientCertificate>>,
}

/// Which of two keys is at fault, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub enum BadClient {
    /// The certificate.
    Certificate(&'static str),
    /// Its key.
    Key(&'static str),
}

/// Reads root certificates; the error ends a sentence about the key of the Secret.
pub fn roots(pem: &[u8]) -> Result<Arc<[CertificateDer<'static>]>, &'static str> {
    let certificates = certificates(pem)?;
    let mut store = RootCertStore::empty();
    match certificates.iter().all(|certificate| store.add(certificate.clone()).is_ok()) {
        true => Ok(certificates.into()),
        false => Err("has a certificate that cannot be read"),
    }
}

/// Reads a client's certificate and key.
pub fn client(certificate: &[u8], key: &[u8]) -> Result<ClientCertificate, BadClient> {
    let chain = certificates(certificate).map_err(BadClient::Certificate)?;
    let own = chain.first().and_then(x509::public_key);
    let own = own.ok_or(BadClient::Certificate("has a certificate that cannot be read"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| BadClient::Key("has no private key in PEM (one that is encrypted cannot be used)"))?;
    let signing = any_supported_type(&key)
        .map_err(|_| BadClient::Key("is no RSA key of 2048 bits or more, no ECDSA and no Ed25519 key"))?;
    match signing.public_key() {
        Some(public) if public != own => Err(BadClient::Key("is not the key of the certificate")),
        _ => Ok(ClientCertificate { chain, key }),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("has no certificate in PEM"),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err("is not well-formed PEM"),
    }
}
