//! What can go wrong with TLS, told so that a person can act on it and without a value.

use std::io;

use rustls::{AlertDescription, CertificateError, OtherError};

/// Why there is no encrypted connection as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The server answers that it has no TLS.
    #[error("the server does not offer TLS, and sslmode demands it")]
    NotOffered,
    /// It does not take a handshake that it was not asked about.
    #[error("the server takes no TLS handshake of its own accord: sslnegotiation=direct needs PostgreSQL 17")]
    NotDirect,
    /// Certificate of another host.
    #[error("the server's certificate is not for this host (sslmode verify-full compares names, verify-ca does not)")]
    WrongName,
    /// Certificate of the past.
    #[error("the server's certificate has expired")]
    Expired,
    /// Certificate of the future.
    #[error("the server's certificate is not valid yet")]
    NotValidYet,
    /// Nobody that is trusted signed it.
    #[error(
        "the server's certificate is signed by none of the trusted ones (database.sslRootCertSecretRef, or \
         sslrootcert=system)"
    )]
    UnknownIssuer,
    /// It signed itself, and is not trusted.
    #[error(
        "the server's certificate is signed by itself and is none of the trusted ones \
         (database.sslRootCertSecretRef, or sslrootcert=system)"
    )]
    SelfSigned,
    /// A certificate authority's own certificate.
    #[error("the server's certificate is one for signing others, and is itself none of the trusted ones")]
    Authority,
    /// Not for servers.
    #[error("the server's certificate is not meant for servers (extendedKeyUsage)")]
    WrongPurpose,
    /// Without extensions, hence without names.
    #[error(
        "the server's certificate is of X.509 version 1, which cannot be verified: make it anew with a \
         subjectAltName, which makes it version 3 (openssl x509 -req needs -extfile for that)"
    )]
    VersionOne,
    /// Anything else about it.
    #[error("the server's certificate cannot be read or its signature is wrong")]
    BadCertificate,
    /// It refuses ours.
    #[error("the server refuses the client certificate (database.sslCertSecretRef)")]
    ClientCertificate,
    /// It ended the connection once it had ours; the word why may be lost with the connection.
    #[error(
        "the TLS handshake failed after the client certificate was shown, which the server most likely refuses \
         (database.sslCertSecretRef)"
    )]
    ShownCertificate,
    /// It insists on one.
    #[error("the server demands a client certificate (database.sslCertSecretRef and database.sslKeySecretRef)")]
    NoClientCertificate,
    /// It was to ask for one.
    #[error("the server does not ask for the client certificate, which sslcertmode=require demands")]
    NotAsked,
    /// Ours cannot be used.
    #[error("the client certificate's key cannot be used (database.sslKeySecretRef)")]
    ClientKey,
    /// The login was not bound to the certificate.
    #[error("the server's way of logging in has no channel binding, which channel_binding=require demands")]
    NotBound,
    /// There is nothing to verify with.
    #[error("the operator's machine has no store of certificates, which sslrootcert=system needs")]
    NoSystemRoots,
    /// No version or cipher that both speak.
    #[error("server and operator have no version of TLS or cipher in common")]
    NothingInCommon,
    /// It ended otherwise.
    #[error("the TLS handshake failed")]
    Handshake,
}

impl TlsFault {
    /// What went wrong with TLS, if that is what went wrong.
    pub(in crate::postgres) fn of(error: &tokio_postgres::Error) -> Option<Self> {
        let source = std::error::Error::source(error)?;
        match source.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref()) {
            Some(error) => Some(Self::of_rustls(error)),
            // The library has no other way to tell.
            None => match (error.to_string().as_str(), source.to_string().as_str()) {
                (_, "server does not support TLS") => Some(Self::NotOffered),
                (_, "server did not use channel binding") => Some(Self::NotBound),
                ("error performing TLS handshake", _) => Some(Self::Handshake),
                _ => None,
            },
        }
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use AlertDescription as Alert;
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(fault))) => {
                fault.downcast_ref().copied().unwrap_or(Self::BadCertificate)
            }
            rustls::Error::InvalidCertificate(_) => Self::BadCertificate,
            rustls::Error::AlertReceived(Alert::CertificateRequired) => Self::NoClientCertificate,
            rustls::Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError,
            ) => Self::ClientCertificate,
            rustls::Error::AlertReceived(
                Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity,
            )
            | rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            _ => Self::Handshake,
        }
    }
}
