//! Which hosts to try: names, addresses and ports as a connection string lists them. Pure.

use std::fmt;
use std::net::IpAddr;

use super::ConnectionError::{self, Parameter};
use super::{DEFAULT_PORT, check_host, port};

/// A host to try.
#[derive(Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, or its address as text: what certificates are compared with.
    pub name: String,
    /// Where it is, if the name is not to be looked up.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: u16,
}

impl From<(String, u16)> for Host {
    /// A host that is looked up by its name.
    fn from((name, port): (String, u16)) -> Self {
        Self { name, address: None, port }
    }
}

impl fmt::Debug for Host {
    /// Tells nothing: it comes from a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host(…)")
    }
}

/// Puts `host`, `hostaddr` and `port` together: one port for all, or one for each.
pub(super) fn hosts(names: &str, addresses: &str, ports: &str) -> Result<Vec<Host>, ConnectionError> {
    let list = |text: &str| -> Vec<String> {
        if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
    };
    let (names, addresses) = (list(names), list(addresses));
    let count = names.len().max(addresses.len());
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(Parameter("hostaddr", "must be one for each host"));
    }
    let ports = ports.split(',').map(one_port).collect::<Result<Vec<u16>, _>>()?;
    if count > 0 && ports.len() != 1 && ports.len() != count {
        return Err(Parameter("port", "must be one, or one for each host"));
    }
    let ports = ports.into_iter().cycle();
    let nothing = || std::iter::repeat(String::new());
    let pairs = names.into_iter().chain(nothing()).zip(addresses.into_iter().chain(nothing())).take(count);
    pairs.zip(ports).map(|((name, address), port)| one_host(name, &address, port)).collect()
}

fn one_host(name: String, address: &str, port: u16) -> Result<Host, ConnectionError> {
    let address = match address {
        "" => None,
        text => Some(text.parse::<IpAddr>().map_err(|_| Parameter("hostaddr", "is not an IP address"))?),
    };
    let name = match address {
        Some(address) if name.is_empty() => address.to_string(),
        _ => name,
    };
    check_host(&name).map_err(|why| Parameter("host", why))?;
    Ok(Host { name, address, port })
}

/// As libpq: nothing is the default.
fn one_port(text: &str) -> Result<u16, ConnectionError> {
    match text {
        "" => Ok(DEFAULT_PORT),
        _ => port(text).ok_or(Parameter("port", "is not a number from 1 to 65535")),
    }
}
