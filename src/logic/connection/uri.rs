//! A connection URI, as libpq documents it: `postgresql://user:password@host:port,host:port/dbname?name=value`.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>. Pure.

use percent_encoding::percent_decode_str;

use super::ConnectionError::{self, Parameter};
use super::parameters::Parameters;

/// Whether the text is meant to be a URI, of whatever scheme.
pub(super) fn is_uri(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()))
}

pub(super) fn read(uri: &str, parameters: &mut Parameters) -> Result<(), ConnectionError> {
    let rest = ["postgresql://", "postgres://"].iter().find_map(|scheme| uri.strip_prefix(scheme));
    let rest = rest.ok_or(Parameter("scheme", "must be postgresql://"))?;
    let (rest, given) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let parts = [("user", user, "user name"), ("password", password, "password"), ("dbname", dbname, "database name")];
    for (name, part, what) in parts.into_iter().filter(|(_, part, _)| !part.is_empty()) {
        parameters.set(name, decoded(part, what)?)?;
    }
    if !hosts.is_empty() {
        let (hosts, ports): (Vec<_>, Vec<_>) =
            hosts.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        parameters.set("host", hosts.join(","))?;
        if ports.iter().any(|port| !port.is_empty()) {
            parameters.set("port", ports.join(","))?;
        }
    }
    for one in given.split('&').filter(|one| !one.is_empty()) {
        let (name, value) = match one.split_once('=').unwrap_or((one, "")) {
            // As libpq reads what is meant for JDBC.
            ("ssl", "true") => ("sslmode", "require"),
            pair => pair,
        };
        parameters.set(name, decoded(value, "parameters")?)?;
    }
    Ok(())
}

/// Host, and port or nothing.
fn host_and_port(text: &str) -> Result<(String, &str), ConnectionError> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(Parameter("host", "has a [ without its ]"))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    match (rest, rest.strip_prefix(':')) {
        ("", _) => Ok((decoded(host, "host")?, "")),
        (_, Some(port)) => Ok((decoded(host, "host")?, port)),
        _ => Err(Parameter("host", "has something between ] and the port")),
    }
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
