//! A Secret's data become connection settings: from single keys, or from a whole URI or connection string. Nothing
//! else has a say: no environment, no files, no name of the process's user. Pure.

pub mod certificates;
mod dsn;
mod hosts;
mod parameters;
pub mod tls;
mod uri;
pub mod x509;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::ByteString;

use self::certificates::Certificates;
pub use self::hosts::Host;
use self::parameters::Parameters;
use self::tls::{Tls, TlsParameters};
use super::denied::DeniedHosts;

/// Which keys of the Secret hold what.
#[derive(Clone, Debug)]
pub struct SecretKeys {
    /// A whole URI, or a string of keywords and values; the other keys are not read then.
    pub uri: Option<String>,
    /// Host.
    pub host: String,
    /// Port; 5432 where there is no such key.
    pub port: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database name.
    pub dbname: String,
    /// sslmode; where there is no such key `prefer`, or `verify-full` if there are root certificates.
    pub sslmode: String,
}

/// How to connect. Equal settings may share a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Hosts, tried in order.
    pub hosts: Vec<Host>,
    /// Whether hosts and their addresses are tried in a random order instead.
    pub shuffle: bool,
    /// Hosts that are not connected to, whoever names them.
    pub denied: DeniedHosts,
    /// User name.
    pub user: String,
    /// Password, if any.
    pub password: Option<String>,
    /// Database name.
    pub dbname: String,
    /// Longest time until a connection is ready for use.
    pub connect_timeout: Duration,
    /// Shown in the server's pg_stat_activity.
    pub application_name: Option<String>,
    /// Command-line options for the session.
    pub options: Option<String>,
    /// Which of several hosts will do.
    pub target: Target,
    /// Encryption, if any.
    pub tls: Option<Tls>,
    /// How a peer that is gone without a word is noticed.
    pub network: Network,
}

/// Which of several hosts will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The first that answers.
    #[default]
    Any,
    /// The first whose sessions can write.
    ReadWrite,
    /// The first whose sessions cannot.
    ReadOnly,
    /// The first that is no standby.
    Primary,
    /// The first that is one.
    Standby,
    /// The first standby, or else the first that answers.
    PreferStandby,
    /// The first that is no standby, or else the first that answers. No connection string asks for it.
    PreferPrimary,
}

/// How a peer that is gone without a word is noticed. None of a time or number leaves it to the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether a silent connection is tested at all.
    pub keepalives: bool,
    /// After how long a silence.
    pub idle: Option<Duration>,
    /// How often then.
    pub interval: Option<Duration>,
    /// After how many unanswered tests it is given up.
    pub count: Option<u32>,
    /// How long what was sent may stay unacknowledged.
    pub unacknowledged: Option<Duration>,
}

impl Default for Network {
    /// Noticed within a minute.
    fn default() -> Self {
        Self {
            keepalives: true,
            idle: Some(SILENCE),
            interval: Some(SILENCE / 3),
            count: Some(3),
            unacknowledged: Some(SILENCE),
        }
    }
}

const SILENCE: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PORT: u16 = 5432;

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            shuffle: false,
            denied: DeniedHosts::default(),
            user: String::new(),
            password: None,
            dbname: String::new(),
            connect_timeout: DEFAULT_TIMEOUT,
            application_name: None,
            options: None,
            target: Target::Any,
            tls: Some(Tls::default()),
            network: Network::default(),
        }
    }
}

impl Settings {
    /// The same for who listens: of hosts of which any will do, a standby is the last choice, as nobody can listen there,
    /// and what is read there may be older than what was notified.
    pub fn to_listen(self) -> Self {
        let target = if self.target == Target::Any { Target::PreferPrimary } else { self.target };
        Self { target, ..self }
    }
}

impl fmt::Debug for Settings {
    /// Tells nothing: all of it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings(…)")
    }
}

/// What is wrong with the Secret: names the key or parameter, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// A key is not there, or empty.
    #[error("key `{0}` is missing or empty")]
    Missing(String),
    /// A value is no text.
    #[error("key `{0}` is not UTF-8 text, or has a NUL byte")]
    NotText(String),
    /// A value makes no sense.
    #[error("key `{0}` {1}")]
    Bad(String, &'static str),
    /// A parameter of the URI or string makes no sense, or is not allowed.
    #[error("the connection string's {0} {1}")]
    Parameter(&'static str, &'static str),
    /// A parameter that is not known. Not named: where a string is cut at the wrong place it may be part of a password.
    #[error(
        "the connection string has a parameter that is not known; is all in it quoted or percent-encoded that has to be?"
    )]
    UnknownParameter,
    /// The server's certificate is to be verified, and with nothing.
    #[error(
        "sslmode `{0}` needs certificates to verify the server with: set database.sslRootCertSecretRef, \
         or sslrootcert=system in the connection string"
    )]
    NoRoots(&'static str),
}

/// Reads the settings; hosts are denied by whoever knows the operator's flags.
pub fn settings(
    keys: &SecretKeys,
    data: &BTreeMap<String, ByteString>,
    certificates: &Certificates,
) -> Result<Settings, ConnectionError> {
    let settings = match &keys.uri {
        Some(key) => {
            let text = required(data, key)?;
            read(text, Parameters::default())?.settings(certificates)?
        }
        None => from_keys(keys, data, certificates)?,
    };
    match () {
        () if settings.user.is_empty() => Err(missing(keys, &keys.user)),
        () if settings.dbname.is_empty() => Err(missing(keys, &keys.dbname)),
        () if settings.hosts.is_empty() => Err(missing(keys, &keys.host)),
        () => Ok(settings),
    }
}

/// The same on the host that this key holds, or host and port (`host:5433`): that of a replica.
pub fn replica(
    settings: &Settings,
    key: &str,
    data: &BTreeMap<String, ByteString>,
) -> Result<Settings, ConnectionError> {
    let text = required(data, key)?;
    let own_port = settings.hosts.first().map_or(DEFAULT_PORT, |host| host.port);
    let (name, port) = match text.split_once(':') {
        // An address of more colons is one of IPv6.
        Some((name, digits)) if !digits.contains(':') => {
            (name, port(digits).ok_or_else(|| ConnectionError::Bad(key.to_owned(), "has no port from 1 to 65535"))?)
        }
        _ => (text, own_port),
    };
    check_host(name).map_err(|why| ConnectionError::Bad(key.to_owned(), why))?;
    let hosts = vec![Host::from((name.to_owned(), port))];
    Ok(Settings { hosts, shuffle: false, target: Target::Any, ..settings.clone() })
}

/// Reads what somebody gives on a command line: a URI or a string of keywords and values, which may be empty, and
/// parameters that hold where it names none, as those of libpq's environment do.
pub fn given(
    text: &str,
    otherwise: &[(&str, String)],
    certificates: &Certificates,
) -> Result<Settings, ConnectionError> {
    let mut parameters = Parameters::default();
    otherwise.iter().try_for_each(|(name, value)| parameters.set(name, value.clone()))?;
    let mut settings = if text.is_empty() { parameters } else { read(text, parameters)? }.settings(certificates)?;
    if settings.dbname.is_empty() {
        settings.dbname.clone_from(&settings.user);
    }
    match () {
        () if settings.user.is_empty() => Err(ConnectionError::Parameter("user", "is missing")),
        () if settings.hosts.is_empty() => Err(ConnectionError::Parameter("host", "is missing")),
        () => Ok(settings),
    }
}

/// A connection string, written in either way; what it does not name stays as it is in `parameters`.
fn read(text: &str, mut parameters: Parameters) -> Result<Parameters, ConnectionError> {
    let is_dsn = text.contains('=') && !uri::is_uri(text);
    if is_dsn {
        dsn::read(text, &mut parameters)?
    } else {
        uri::read(text, &mut parameters)?
    };
    Ok(parameters)
}

fn missing(keys: &SecretKeys, part: &str) -> ConnectionError {
    match &keys.uri {
        Some(uri) => ConnectionError::Bad(uri.clone(), "has no host, user or database name in it"),
        None => ConnectionError::Missing(part.to_owned()),
    }
}

fn from_keys(
    keys: &SecretKeys,
    data: &BTreeMap<String, ByteString>,
    certificates: &Certificates,
) -> Result<Settings, ConnectionError> {
    let port = match optional(data, &keys.port)? {
        None => DEFAULT_PORT,
        Some(text) => {
            port(text).ok_or_else(|| ConnectionError::Bad(keys.port.clone(), "is not a port from 1 to 65535"))?
        }
    };
    let mut tls = TlsParameters::default();
    if let Some(mode) = optional(data, &keys.sslmode)?
        && !tls.set_mode(mode)
    {
        return Err(ConnectionError::Bad(keys.sslmode.clone(), "is no sslmode"));
    }
    let host = required(data, &keys.host)?;
    check_host(host).map_err(|why| ConnectionError::Bad(keys.host.clone(), why))?;
    Ok(Settings {
        hosts: vec![Host::from((host.to_owned(), port))],
        tls: tls.tls(certificates)?,
        user: required(data, &keys.user)?.to_owned(),
        password: optional(data, &keys.password)?.map(Into::into),
        dbname: required(data, &keys.dbname)?.to_owned(),
        ..Settings::default()
    })
}

fn required<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Result<&'a str, ConnectionError> {
    optional(data, key)?.ok_or_else(|| ConnectionError::Missing(key.to_owned()))
}

/// None where the key is not there or empty. A newline at the end is no part of a value: many are made with `echo`.
fn optional<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> Result<Option<&'a str>, ConnectionError> {
    let Some(value) = data.get(key) else { return Ok(None) };
    let text = std::str::from_utf8(&value.0).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| ConnectionError::NotText(key.to_owned()))?.trim_end_matches(['\n', '\r']);
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// Sockets are files of the operator's machine, and a comma would be a second host.
fn check_host(host: &str) -> Result<(), &'static str> {
    match host {
        "" => Err("has an empty host"),
        _ if host.starts_with(['/', '@']) => Err("names a socket; a connection must go to a host"),
        _ if host.contains(',') || host.contains(char::is_whitespace) => Err("is not a single host name"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
