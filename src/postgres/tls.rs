//! TLS with rustls, meaning what libpq means: who is trusted, what is shown to the server, what came of it.

mod fault;
mod verifier;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::fault::TlsFault;
use self::verifier::{Trust, Verifier};
use super::Error;
use crate::logic::connection::certificates::Roots;
use crate::logic::connection::tls::{self as settings, Verify, Versions};

/// What the settings ask for, with whatever it takes at hand.
pub(super) struct Tls<'a> {
    settings: &'a settings::Tls,
    provider: Arc<CryptoProvider>,
    trust: Option<Trust>,
    key: Option<Arc<CertifiedKey>>,
}

/// What was seen of a handshake.
#[derive(Debug, Default)]
pub(super) struct Seen {
    certificate: AtomicBool,
    request: AtomicBool,
}

impl Seen {
    /// Whether the server showed a certificate: then TLS was spoken.
    pub(super) fn certificate(&self) -> bool {
        self.certificate.load(Ordering::Relaxed)
    }

    /// Whether the server asked for a client certificate.
    pub(super) fn request(&self) -> bool {
        self.request.load(Ordering::Relaxed)
    }
}

impl<'a> Tls<'a> {
    pub(super) async fn new(settings: &'a settings::Tls) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let trust = match &settings.verify {
            Verify::Nothing => None,
            Verify::Issuer(roots) => Some(trust(roots, false, &provider).await?),
            Verify::IssuerAndName(roots) => Some(trust(roots, true, &provider).await?),
        };
        let key = match &settings.client {
            None => None,
            Some(client) => {
                let key = ring::sign::any_supported_type(&client.key).map_err(|_| Error::Tls(TlsFault::ClientKey))?;
                Some(Arc::new(CertifiedKey::new(client.chain.clone(), key)))
            }
        };
        Ok(Self { settings, provider, trust, key })
    }

    pub(super) fn settings(&self) -> &settings::Tls {
        self.settings
    }

    /// For one connection, and the requests to cancel what it does.
    pub(super) fn connector(&self) -> Result<(MakeRustlsConnect, Arc<Seen>), Error> {
        let seen = Arc::new(Seen::default());
        let versions: &[&SupportedProtocolVersion] = match self.settings.versions {
            Versions::Both => &[&TLS13, &TLS12],
            Versions::Tls12 => &[&TLS12],
            Versions::Tls13 => &[&TLS13],
        };
        let verifier = Verifier {
            algorithms: self.provider.signature_verification_algorithms,
            trust: self.trust.clone(),
            seen: seen.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions)
            .map_err(|_| Error::Tls(TlsFault::NothingInCommon))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(Own { key: self.key.clone(), seen: seen.clone() }));
        config.enable_sni = !self.settings.hides_name;
        // A resumed session would show no certificate.
        config.resumption = Resumption::disabled();
        if self.settings.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok((MakeRustlsConnect::new(config), seen))
    }
}

async fn trust(roots: &Roots, name: bool, provider: &Arc<CryptoProvider>) -> Result<Trust, Error> {
    let roots: Arc<[CertificateDer<'static>]> = match roots {
        Roots::Given(roots) => roots.clone(),
        // Files of the machine, read anew because they are renewed; what cannot be read among them is left out.
        Roots::System => tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|_| Error::Tls(TlsFault::NoSystemRoots))?
            .certs
            .into(),
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let chain = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
        .build()
        .map_err(|_| Error::Tls(TlsFault::NoSystemRoots))?;
    Ok(Trust { chain, roots, name })
}

/// What the server gets to see when it asks who we are.
#[derive(Debug)]
struct Own {
    key: Option<Arc<CertifiedKey>>,
    seen: Arc<Seen>,
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.seen.request.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
