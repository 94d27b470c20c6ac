//! How a connection is encrypted, and what the server has to prove, as libpq means it. Pure.
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>

use std::sync::Arc;

use super::ConnectionError::{self, Parameter};
use super::certificates::{Certificates, ClientCertificate, Roots};

/// How a connection is encrypted. With sslmode `disable` there is none of this.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// How much it matters.
    pub demand: Demand,
    /// What the server has to prove.
    pub verify: Verify,
    /// What to show a server that asks who we are.
    pub client: Option<Arc<ClientCertificate>>,
    /// Whether a server that does not ask is refused.
    pub server_must_ask: bool,
    /// Whether the login is bound to the server's certificate.
    pub channel_binding: ChannelBinding,
    /// Whether TLS begins without asking the server for it, as PostgreSQL 17 can.
    pub direct: bool,
    /// Whether the host's name is kept from the TLS handshake, where proxies would see it.
    pub hides_name: bool,
    /// Which versions will do.
    pub versions: Versions,
}

/// How much encryption matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Demand {
    /// Only where the server takes us in no other way: `allow`.
    Allow,
    /// Where the server has it: `prefer`.
    #[default]
    Prefer,
    /// Always: `require` and more.
    Require,
}

/// What the server has to prove.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing.
    #[default]
    Nothing,
    /// That one of these vouches for its certificate.
    Issuer(Roots),
    /// That, and that the certificate is for the host.
    IssuerAndName(Roots),
}

/// Whether a password login is bound to the server's certificate, so that nobody can stand in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can.
    #[default]
    Prefer,
    /// Always; a login without it is refused.
    Require,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 alone.
    Tls12,
    /// 1.3 alone.
    Tls13,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What is said of encryption, before it is known what goes together.
#[derive(Default)]
pub(super) struct TlsParameters {
    mode: Option<Mode>,
    system_roots: bool,
    certificate: CertificateUse,
    channel_binding: ChannelBinding,
    direct: bool,
    hides_name: bool,
    oldest: Option<u8>,
    newest: Option<u8>,
}

#[derive(Clone, Copy, Default)]
enum CertificateUse {
    Never,
    #[default]
    IfAsked,
    MustBeAsked,
}

const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// Versions below 1.2 are not spoken: as the oldest they change nothing, as the newest they leave none.
const VERSIONS: [(&str, Option<u8>); 5] =
    [("", None), ("tlsv1", Some(0)), ("tlsv1.1", Some(1)), ("tlsv1.2", Some(2)), ("tlsv1.3", Some(3))];

impl TlsParameters {
    /// Takes an sslmode; false if it is none.
    pub(super) fn set_mode(&mut self, mode: &str) -> bool {
        self.mode = MODES.iter().find(|(word, _)| *word == mode).map(|(_, mode)| *mode);
        self.mode.is_some()
    }

    /// Takes a parameter; false if it is not about encryption.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<bool, ConnectionError> {
        match name {
            "sslmode" if self.set_mode(value) => {}
            "sslmode" => {
                let why = "must be disable, allow, prefer, require, verify-ca or verify-full";
                return Err(Parameter("sslmode", why));
            }
            "sslrootcert" if value == "system" => self.system_roots = true,
            "sslrootcert" => {
                let why = "names a file, which is not allowed: use database.sslRootCertSecretRef, or the word system";
                return Err(Parameter("sslrootcert", why));
            }
            "sslcertmode" => {
                let uses = [
                    ("disable", CertificateUse::Never),
                    ("allow", CertificateUse::IfAsked),
                    ("require", CertificateUse::MustBeAsked),
                ];
                self.certificate = one_of(&uses, value, "sslcertmode", "must be disable, allow or require")?;
            }
            "channel_binding" => {
                let uses = [
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ];
                self.channel_binding = one_of(&uses, value, "channel_binding", "must be disable, prefer or require")?;
            }
            "sslnegotiation" => {
                let ways = [("postgres", false), ("direct", true)];
                self.direct = one_of(&ways, value, "sslnegotiation", "must be postgres or direct")?;
            }
            "sslsni" => self.hides_name = one_of(&[("0", true), ("1", false)], value, "sslsni", "must be 0 or 1")?,
            "ssl_min_protocol_version" => self.oldest = version(value, "ssl_min_protocol_version")?,
            "ssl_max_protocol_version" => self.newest = version(value, "ssl_max_protocol_version")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts together what goes together; None without encryption.
    pub(super) fn tls(self, certificates: &Certificates) -> Result<Option<Tls>, ConnectionError> {
        let roots = match (&certificates.roots, self.system_roots) {
            (Some(_), true) => {
                let why = "is system, and there is a database.sslRootCertSecretRef: leave out one of them";
                return Err(Parameter("sslrootcert", why));
            }
            (Some(roots), false) => Some(Roots::Given(roots.clone())),
            (None, true) => Some(Roots::System),
            (None, false) => None,
        };
        // Whoever names roots wants them heeded.
        let mode = self.mode.unwrap_or(if roots.is_some() { Mode::VerifyFull } else { Mode::Prefer });
        let weak = matches!(mode, Mode::Disable | Mode::Allow | Mode::Prefer);
        if self.system_roots && mode != Mode::VerifyFull {
            return Err(Parameter("sslmode", "must be verify-full, or left out, where sslrootcert is system"));
        }
        if self.direct && weak {
            let why = "is direct, which needs sslmode require, verify-ca or verify-full";
            return Err(Parameter("sslnegotiation", why));
        }
        if mode == Mode::Disable && self.channel_binding == ChannelBinding::Require {
            return Err(Parameter("channel_binding", "is require, which sslmode disable makes impossible"));
        }
        let must_ask = matches!(self.certificate, CertificateUse::MustBeAsked);
        if must_ask && (mode == Mode::Disable || certificates.client.is_none()) {
            let why = "is require, which needs encryption, database.sslCertSecretRef and database.sslKeySecretRef";
            return Err(Parameter("sslcertmode", why));
        }
        let tls = Tls {
            demand: match mode {
                Mode::Disable => return Ok(None),
                Mode::Allow => Demand::Allow,
                Mode::Prefer => Demand::Prefer,
                Mode::Require | Mode::VerifyCa | Mode::VerifyFull => Demand::Require,
            },
            verify: match (mode, roots) {
                (Mode::VerifyCa, None) => return Err(ConnectionError::NoRoots("verify-ca")),
                (Mode::VerifyFull, None) => return Err(ConnectionError::NoRoots("verify-full")),
                (Mode::VerifyFull, Some(roots)) => Verify::IssuerAndName(roots),
                // As in libpq, roots are heeded in every mode that encrypts.
                (_, Some(roots)) => Verify::Issuer(roots),
                (_, None) => Verify::Nothing,
            },
            client: match self.certificate {
                CertificateUse::Never => None,
                CertificateUse::IfAsked | CertificateUse::MustBeAsked => certificates.client.clone(),
            },
            server_must_ask: must_ask,
            channel_binding: self.channel_binding,
            direct: self.direct,
            hides_name: self.hides_name,
            versions: self.versions()?,
        };
        Ok(Some(tls))
    }

    fn versions(&self) -> Result<Versions, ConnectionError> {
        match (self.oldest.unwrap_or(2), self.newest.unwrap_or(3)) {
            (..=2, 3) => Ok(Versions::Both),
            (..=2, 2) => Ok(Versions::Tls12),
            (3, 3) => Ok(Versions::Tls13),
            _ => Err(Parameter("ssl_max_protocol_version", "leaves no version of TLS: 1.2 and 1.3 are supported")),
        }
    }
}

fn version(value: &str, name: &'static str) -> Result<Option<u8>, ConnectionError> {
    one_of(&VERSIONS, &value.to_ascii_lowercase(), name, "must be TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3")
}

/// What the value stands for.
pub(super) fn one_of<T: Copy>(
    words: &[(&str, T)],
    value: &str,
    name: &'static str,
    why: &'static str,
) -> Result<T, ConnectionError> {
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning).ok_or(Parameter(name, why))
}
