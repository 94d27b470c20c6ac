//! A Secret's data become connection settings: from single keys, or from a whole URI or connection string. Nothing
//! else has a say: no environment, no files, no name of the process's user. Pure.

mod dsn;
mod parameters;
mod uri;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::ByteString;

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
    /// sslmode; `prefer` where there is no such key.
    pub sslmode: String,
}

/// How to connect. Equal settings may share a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Hosts and ports, tried in order.
    pub hosts: Vec<(String, u16)>,
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
}

/// Which of several hosts will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The first that answers.
    #[default]
    Any,
    /// The first that takes writes.
    ReadWrite,
    /// The first that takes none.
    ReadOnly,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PORT: u16 = 5432;

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            user: String::new(),
            password: None,
            dbname: String::new(),
            connect_timeout: DEFAULT_TIMEOUT,
            application_name: None,
            options: None,
            target: Target::Any,
        }
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
    /// Encryption is asked for.
    #[error("encrypted connections are not supported yet: sslmode `{0}` needs one")]
    Encryption(&'static str),
}

/// Reads the settings.
pub fn settings(keys: &SecretKeys, data: &BTreeMap<String, ByteString>) -> Result<Settings, ConnectionError> {
    let settings = match &keys.uri {
        Some(key) => {
            let text = required(data, key)?;
            let is_dsn = text.contains('=') && !uri::is_uri(text);
            let parameters = if is_dsn { dsn::read(text)? } else { uri::read(text)? };
            parameters.settings()?
        }
        None => from_keys(keys, data)?,
    };
    match () {
        () if settings.user.is_empty() => Err(missing(keys, &keys.user)),
        () if settings.dbname.is_empty() => Err(missing(keys, &keys.dbname)),
        () if settings.hosts.is_empty() => Err(missing(keys, &keys.host)),
        () => Ok(settings),
    }
}

fn missing(keys: &SecretKeys, part: &str) -> ConnectionError {
    match &keys.uri {
        Some(uri) => ConnectionError::Bad(uri.clone(), "has no host, user or database name in it"),
        None => ConnectionError::Missing(part.to_owned()),
    }
}

fn from_keys(keys: &SecretKeys, data: &BTreeMap<String, ByteString>) -> Result<Settings, ConnectionError> {
    let port = match optional(data, &keys.port)? {
        None => DEFAULT_PORT,
        Some(text) => {
            port(text).ok_or_else(|| ConnectionError::Bad(keys.port.clone(), "is not a port from 1 to 65535"))?
        }
    };
    if let Some(mode) = optional(data, &keys.sslmode)? {
        check_sslmode(mode, || ConnectionError::Bad(keys.sslmode.clone(), "is no sslmode"))?;
    }
    let host = required(data, &keys.host)?;
    check_host(host).map_err(|why| ConnectionError::Bad(keys.host.clone(), why))?;
    Ok(Settings {
        hosts: vec![(host.to_owned(), port)],
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

/// Accepts the modes under which the server may do without encryption.
fn check_sslmode(mode: &str, wrong: impl FnOnce() -> ConnectionError) -> Result<(), ConnectionError> {
    match mode {
        "disable" | "allow" | "prefer" => Ok(()),
        "require" => Err(ConnectionError::Encryption("require")),
        "verify-ca" => Err(ConnectionError::Encryption("verify-ca")),
        "verify-full" => Err(ConnectionError::Encryption("verify-full")),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
