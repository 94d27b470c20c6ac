//! The parameters of a connection string, whichever way it is written, become settings. Those that nothing heeds
//! are refused by name, as far as they would have changed something that somebody relies on. Pure.

use std::time::Duration;

use super::ConnectionError::{self, Parameter};
use super::certificates::Certificates;
use super::tls::{TlsParameters, one_of};
use super::{DEFAULT_TIMEOUT, Settings, Target, hosts};

/// Parameters that name files or services of the operator's machine, and what to use instead.
const FILES: [(&str, &str); 8] = [
    ("service", "names what is on the operator's machine, which is not allowed"),
    ("servicefile", "names what is on the operator's machine, which is not allowed"),
    ("passfile", "names what is on the operator's machine, which is not allowed"),
    ("sslcert", "names a file, which is not allowed: use database.sslCertSecretRef"),
    ("sslkey", "names a file, which is not allowed: use database.sslKeySecretRef"),
    ("sslcrl", "names a file, which is not allowed"),
    ("sslcrldir", "names a folder, which is not allowed"),
    ("sslkeylogfile", "names a file, which is not allowed"),
];
/// Parameters that ask for what nothing here can do.
const UNSUPPORTED: [&str; 9] = [
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "require_auth",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "sslpassword",
];
/// Parameters without a bearing on a TCP connection of ours, whatever their value: rows are always UTF-8, nothing is
/// compressed, GSSAPI is not used, and nobody's name is asked of a socket.
const WITHOUT_EFFECT: [&str; 6] =
    ["client_encoding", "gssdelegation", "gsslib", "krbsrvname", "requirepeer", "sslcompression"];
/// Parameters of which only some values ask for what can be had.
const ONLY: [(&str, &[&str], &str); 4] = [
    ("gssencmode", &["disable", "prefer"], "must be disable or prefer: GSSAPI is not supported"),
    ("min_protocol_version", &["", "3.0"], "must be 3.0, the version that is spoken"),
    ("max_protocol_version", &["", "3.0", "3.2", "latest"], "must be 3.0, 3.2 or latest"),
    ("replication", &["false", "off", "no", "0"], "is not supported: rows are read in normal sessions"),
];
/// Longest time between keepalive messages, in seconds, and most of them, that Linux takes.
const MOST_KEEPALIVE: (u32, u32) = (32_767, 127);

/// What was given so far. Of a name that is given twice the last counts.
#[derive(Default)]
pub(super) struct Parameters {
    settings: Settings,
    hosts: String,
    addresses: String,
    ports: String,
    fallback_name: Option<String>,
    tls: TlsParameters,
}

impl Parameters {
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), ConnectionError> {
        if let Some((name, why)) = FILES.iter().find(|(known, _)| *known == name) {
            return Err(Parameter(name, why));
        }
        if let Some(name) = UNSUPPORTED.iter().find(|known| **known == name) {
            return Err(Parameter(name, "is not supported"));
        }
        if let Some((name, values, why)) = ONLY.iter().find(|(known, ..)| *known == name) {
            return if values.contains(&value.as_str()) { Ok(()) } else { Err(Parameter(name, why)) };
        }
        let named = || Some(value.clone()).filter(|name| !name.is_empty());
        let settings = &mut self.settings;
        match name {
            "host" => self.hosts = value,
            "hostaddr" => self.addresses = value,
            "port" => self.ports = value,
            "user" => settings.user = value,
            "password" => settings.password = named(),
            "dbname" => settings.dbname = value,
            "connect_timeout" => settings.connect_timeout = timeout(&value)?,
            "application_name" => settings.application_name = named(),
            "fallback_application_name" => self.fallback_name = named(),
            "options" => settings.options = Some(value),
            "target_session_attrs" => settings.target = target(&value)?,
            "load_balance_hosts" => {
                let ways = [("disable", false), ("random", true)];
                settings.shuffle = one_of(&ways, &value, "load_balance_hosts", "must be disable or random")?;
            }
            "keepalives" => settings.network.keepalives = number("keepalives", &value, u32::MAX)? != 0,
            "keepalives_idle" => {
                settings.network.idle = seconds(number("keepalives_idle", &value, MOST_KEEPALIVE.0)?);
            }
            "keepalives_interval" => {
                settings.network.interval = seconds(number("keepalives_interval", &value, MOST_KEEPALIVE.0)?);
            }
            "keepalives_count" => {
                let count = number("keepalives_count", &value, MOST_KEEPALIVE.1)?;
                settings.network.count = Some(count).filter(|count| *count > 0);
            }
            "tcp_user_timeout" => {
                let milliseconds = number("tcp_user_timeout", &value, u32::MAX)?;
                settings.network.unacknowledged =
                    Some(Duration::from_millis(milliseconds.into())).filter(|timeout| !timeout.is_zero());
            }
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ if self.tls.set(name, &value)? => {}
            _ => return Err(ConnectionError::UnknownParameter),
        }
        Ok(())
    }

    /// Puts together what goes together.
    pub(super) fn settings(self, certificates: &Certificates) -> Result<Settings, ConnectionError> {
        Ok(Settings {
            hosts: hosts::hosts(&self.hosts, &self.addresses, &self.ports)?,
            tls: self.tls.tls(certificates)?,
            application_name: self.settings.application_name.clone().or(self.fallback_name),
            ..self.settings
        })
    }
}

/// As libpq: a negative number is 0.
fn number(name: &'static str, text: &str, most: u32) -> Result<u32, ConnectionError> {
    let number: i32 = text.trim().parse().map_err(|_| Parameter(name, "is not a whole number"))?;
    Some(number.max(0).unsigned_abs()).filter(|number| *number <= most).ok_or(Parameter(name, "is too large"))
}

/// As libpq: 0 leaves it to the system.
fn seconds(number: u32) -> Option<Duration> {
    Some(Duration::from_secs(number.into())).filter(|time| !time.is_zero())
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
    let targets = [
        ("any", Target::Any),
        ("read-write", Target::ReadWrite),
        ("read-only", Target::ReadOnly),
        ("primary", Target::Primary),
        ("standby", Target::Standby),
        ("prefer-standby", Target::PreferStandby),
    ];
    let why = "must be any, read-write, read-only, primary, standby or prefer-standby";
    one_of(&targets, text, "target_session_attrs", why)
}
