//! Judges a server's certificate as libpq does where rustls alone would be stricter, and says what is wrong with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::Seen;
use super::fault::TlsFault;
use crate::logic::connection::x509;

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// None takes any server.
    pub(super) trust: Option<Trust>,
    pub(super) seen: Arc<Seen>,
}

/// What is held against a certificate.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) chain: Arc<WebPkiServerVerifier>,
    /// The same roots, to recognize one that is the server's own certificate.
    pub(super) roots: Arc<[CertificateDer<'static>]>,
    /// Whether the name has to be the host's.
    pub(super) name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.certificate.store(true, Ordering::Relaxed);
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let verified = trust.chain.verify_server_cert(certificate, intermediates, host, ocsp, now).map(|_| ());
        let verified = match verified {
            // Checked last but for the name, as the tests make sure of: it is neither expired nor too young.
            Err(error) if is_authority(&error) && trust.roots.contains(certificate) => {
                ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, host))
            }
            verified => verified,
        };
        match verified {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            // The name is compared after all else.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !trust.name || x509::common_name_fits(certificate, host) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(told(&error, certificate)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
            .map_err(|error| told(&error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls13_signature(message, certificate, signature, &self.algorithms) {
            // Where nobody asks who it is, a certificate that webpki does not read is a public key as any other.
            Err(error) if is_version_one(&error) && self.trust.is_none() => match x509::public_key(certificate) {
                Some(key) => verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms),
                None => Err(told(&error, certificate)),
            },
            verified => verified.map_err(|error| told(&error, certificate)),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the certificate is one that signs others, which webpki takes from no server.
fn is_authority(error: &Error) -> bool {
    matches!(webpki(error), Some(webpki::Error::CaUsedAsEndEntity))
}

fn is_version_one(error: &Error) -> bool {
    matches!(webpki(error), Some(webpki::Error::UnsupportedCertVersion))
}

fn webpki(error: &Error) -> Option<&webpki::Error> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => other.downcast_ref(),
        _ => None,
    }
}

/// The same, as a person would put it; found again by [`TlsFault::of`].
fn told(error: &Error, certificate: &CertificateDer<'_>) -> Error {
    use CertificateError as Bad;
    let fault = match error {
        _ if is_version_one(error) => TlsFault::VersionOne,
        _ if is_authority(error) => TlsFault::Authority,
        Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => TlsFault::Expired,
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsFault::NotValidYet,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsFault::WrongName,
            Bad::UnknownIssuer if x509::is_self_signed(certificate) => TlsFault::SelfSigned,
            Bad::UnknownIssuer => TlsFault::UnknownIssuer,
            Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => TlsFault::WrongPurpose,
            _ => TlsFault::BadCertificate,
        },
        _ => return error.clone(),
    };
    Error::InvalidCertificate(Bad::Other(OtherError(Arc::new(fault))))
}
