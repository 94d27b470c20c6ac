//! The parameters of a connection string, whichever way it is written, become settings. Those that we do not heed
//! are refused by name, as far as they would have changed something that somebody relies on. Pure.

use std::time::Duration;

use super::ConnectionError::{self, Parameter};
use super::{DEFAULT_PORT, DEFAULT_TIMEOUT, Settings, Target, check_host, check_sslmode, port};

/// Parameters that name files or services of the operator's machine.
const FILES: [&str; 11] = [
    "service",
    "servicefile",
    "passfile",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslkeylogfile",
    "requirepeer",
];
/// Parameters that demand what we cannot give yet.
const UNSUPPORTED: [&str; 9] = [
    "hostaddr",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "replication",
    "require_auth",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
];
/// Parameters by which encryption can be asked for, and the values that leave it to the server.
const ENCRYPTION: [(&str, &[&str]); 4] = [
    ("channel_binding", &["disable", "prefer"]),
    ("gssencmode", &["disable", "prefer"]),
    ("sslcertmode", &["disable", "allow"]),
    ("sslnegotiation", &["postgres"]),
];
/// Parameters without a bearing on an unencrypted TCP connection of ours, whatever their value: keepalives and timeouts
/// of the network are the operator's to set, rows are always UTF-8.
const WITHOUT_EFFECT: [&str; 14] = [
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
];

/// What was given so far. Of a name that is given twice the last counts.
#[derive(Default)]
pub(super) struct Parameters {
    settings: Settings,
    hosts: String,
    ports: String,
}

impl Parameters {
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), ConnectionError> {
        let known = |names: &[&'static str]| names.iter().find(|known| **known == name).copied();
        if let Some(name) = known(&FILES) {
            return Err(Parameter(name, "names what is on the operator's machine, which is not allowed"));
        }
        if let Some(name) = known(&UNSUPPORTED) {
            return Err(Parameter(name, "is not supported"));
        }
        if let Some((name, optional)) = ENCRYPTION.iter().find(|(known, _)| *known == name) {
            let is_optional = optional.contains(&value.as_str());
            let why = "asks for an encrypted connection, which is not supported yet, or is no value for it";
            return if is_optional { Ok(()) } else { Err(Parameter(name, why)) };
        }
        let settings = &mut self.settings;
        match name {
            "host" => self.hosts = value,
            "port" => self.ports = value,
            "user" => settings.user = value,
            "password" => settings.password = Some(value).filter(|password| !password.is_empty()),
            "dbname" => settings.dbname = value,
            "sslmode" => check_sslmode(&value, || Parameter("sslmode", "is no sslmode"))?,
            "connect_timeout" => settings.connect_timeout = timeout(&value)?,
            "application_name" => settings.application_name = Some(value).filter(|name| !name.is_empty()),
            "options" => settings.options = Some(value),
            "target_session_attrs" => settings.target = target(&value)?,
            _ if known(&WITHOUT_EFFECT).is_some() => {}
            _ => return Err(ConnectionError::UnknownParameter),
        }
        Ok(())
    }

    /// Puts hosts and ports together: one port for all hosts, or one for each.
    pub(super) fn settings(self) -> Result<Settings, ConnectionError> {
        let mut settings = self.settings;
        if self.hosts.is_empty() {
            return Ok(settings);
        }
        let hosts: Vec<&str> = self.hosts.split(',').collect();
        let ports = self.ports.split(',').map(one_port).collect::<Result<Vec<u16>, _>>()?;
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(Parameter("port", "must be one, or one for each host"));
        }
        for (host, port) in hosts.into_iter().zip(ports.into_iter().cycle()) {
            check_host(host).map_err(|why| Parameter("host", why))?;
            settings.hosts.push((host.to_owned(), port));
        }
        Ok(settings)
    }
}

/// As libpq: nothing is the default.
fn one_port(text: &str) -> Result<u16, ConnectionError> {
    match text {
        "" => Ok(DEFAULT_PORT),
        _ => port(text).ok_or(Parameter("port", "is not a number from 1 to 65535")),
    }
}

/// As libpq: 0 waits for ever, which nothing of ours does; 1 counts as 2.
fn timeout(text: &str) -> Result<Duration, ConnectionError> {
    let seconds: i64 = text.trim().parse().map_err(|_| Parameter("connect_timeout", "is not a number of seconds"))?;
    Ok(match seconds {
        ..=0 => DEFAULT_TIMEOUT,
        _ => Duration::from_secs(seconds.clamp(2, 60).unsigned_abs()),
    })
}

fn target(text: &str) -> Result<Target, ConnectionError> {
    match text {
        "any" => Ok(Target::Any),
        "read-write" | "primary" => Ok(Target::ReadWrite),
        "read-only" | "standby" => Ok(Target::ReadOnly),
        _ => Err(Parameter("target_session_attrs", "must be any, read-write or read-only")),
    }
}
