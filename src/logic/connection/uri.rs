//! A connection URI, as libpq documents it: `postgresql://user:password@host:port,host:port/dbname?name=value`.
//! https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS. Pure.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::ConnectionError::{self, Parameter};
use super::{DEFAULT_PORT, Settings, Target, check_host, check_sslmode, port};

/// Parameters that name files or services of the operator's machine.
const FILES: [&str; 9] =
    ["service", "servicefile", "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "sslpassword"];
/// Parameters without a bearing on an unencrypted TCP connection of ours, whatever their value.
const WITHOUT_EFFECT: [&str; 14] = [
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "client_encoding",
];

pub(super) fn read(uri: &str) -> Result<Settings, ConnectionError> {
    let rest = ["postgresql://", "postgres://"].iter().find_map(|scheme| uri.strip_prefix(scheme));
    let rest = rest.ok_or(Parameter("scheme", "must be postgresql://"))?;
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let mut settings = Settings {
        user: decoded(user, "user name")?,
        password: password.map(|password| decoded(password, "password")).transpose()?.filter(|p| !p.is_empty()),
        dbname: decoded(dbname, "database name")?,
        ..Settings::default()
    };
    if !hosts.is_empty() {
        settings.hosts = hosts.split(',').map(host_and_port).collect::<Result<_, _>>()?;
    }
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        set(&mut settings, name, decoded(value, "parameters")?)?;
    }
    Ok(settings)
}

fn host_and_port(text: &str) -> Result<(String, u16), ConnectionError> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, rest) = match bracketed {
        Some((address, rest)) => (address, rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        None | Some("") => DEFAULT_PORT,
        Some(text) => port(text).ok_or(Parameter("port", "is not a number from 1 to 65535"))?,
    };
    let host = decoded(host, "host")?;
    check_host(&host).map_err(|why| Parameter("host", why))?;
    Ok((host, port))
}

fn set(settings: &mut Settings, name: &str, value: String) -> Result<(), ConnectionError> {
    if let Some(name) = FILES.iter().find(|file| **file == name) {
        return Err(Parameter(name, "names files of the operator's machine, which is not allowed"));
    }
    match name {
        "sslmode" => return check_sslmode(&value, || Parameter("sslmode", "is no sslmode")),
        "connect_timeout" => settings.connect_timeout = timeout(&value)?,
        "application_name" => settings.application_name = Some(value),
        "options" => settings.options = Some(value),
        "target_session_attrs" => settings.target = target(&value)?,
        "channel_binding" if value == "require" => {
            return Err(Parameter("channel_binding", "needs an encrypted connection, which is not supported yet"));
        }
        "channel_binding" => {}
        "host" => settings.hosts = listed_hosts(&value, &settings.hosts)?,
        "port" => listed_ports(settings, &value)?,
        "user" => settings.user = value,
        "password" => settings.password = Some(value),
        "dbname" => settings.dbname = value,
        _ if WITHOUT_EFFECT.contains(&name) => {}
        _ => return Err(ConnectionError::UnknownParameter),
    }
    Ok(())
}

/// As libpq: 0 waits for ever, which nothing of ours does; 1 counts as 2.
fn timeout(text: &str) -> Result<Duration, ConnectionError> {
    let seconds: i64 = text.parse().map_err(|_| Parameter("connect_timeout", "is not a number of seconds"))?;
    Ok(match seconds {
        ..=0 => super::DEFAULT_TIMEOUT,
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

fn listed_hosts(value: &str, before: &[(String, u16)]) -> Result<Vec<(String, u16)>, ConnectionError> {
    let port = before.first().map_or(DEFAULT_PORT, |(_, port)| *port);
    let one = |host: &str| check_host(host).map(|()| (host.to_owned(), port)).map_err(|why| Parameter("host", why));
    value.split(',').map(one).collect()
}

/// One port for all hosts, or one for each.
fn listed_ports(settings: &mut Settings, value: &str) -> Result<(), ConnectionError> {
    let ports: Option<Vec<u16>> = value.split(',').map(port).collect();
    let ports = ports.ok_or(Parameter("port", "is not a number from 1 to 65535"))?;
    if ports.len() != 1 && ports.len() != settings.hosts.len() {
        return Err(Parameter("port", "must be one, or one for each host"));
    }
    for (host, port) in settings.hosts.iter_mut().zip(ports.iter().cycle()) {
        host.1 = *port;
    }
    Ok(())
}

fn decoded(text: &str, what: &'static str) -> Result<String, ConnectionError> {
    let wrong = || Parameter(what, "is not percent-encoded UTF-8");
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|c| c.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_escape) {
        return Err(wrong());
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong())?;
    if text.contains('\0') {
        return Err(Parameter(what, "has a NUL byte"));
    }
    Ok(text.into_owned())
}
