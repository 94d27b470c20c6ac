//! Hosts that no database may be on, as `--deny-database-hosts` lists them. Pure: names are looked up by others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

/// A range of addresses, or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeniedHost {
    /// All addresses of a network; of a single one too.
    Range(IpNet),
    /// A name, in lower case and without a dot at its end: it and, at any time, all addresses it has then.
    Name(String),
}

/// Why a text is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address, a range of addresses such as 10.0.0.0/8, or a host name")]
pub struct NoHost;

impl FromStr for DeniedHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if let Ok(range) = text.parse::<IpNet>() {
            return Ok(Self::Range(range.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Range(address.into()));
        }
        let name = normal(text);
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        // No name ends in a number: that was meant to be an address.
        let is_number = |label: &str| label.chars().all(|c| c.is_ascii_digit());
        match name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number) {
            true => Ok(Self::Name(name)),
            false => Err(NoHost),
        }
    }
}

/// All that is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedHosts(Arc<[DeniedHost]>);

impl From<Vec<DeniedHost>> for DeniedHosts {
    fn from(hosts: Vec<DeniedHost>) -> Self {
        Self(hosts.into())
    }
}

impl DeniedHosts {
    /// The names, for looking up what addresses they have now.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|host| match host {
            DeniedHost::Name(name) => Some(name.as_str()),
            DeniedHost::Range(_) => None,
        })
    }

    /// Whether a host of this name is denied, wherever it is.
    pub fn denies_name(&self, name: &str) -> bool {
        let name = normal(name);
        self.names().any(|denied| denied == name)
    }

    /// Whether an address is denied, where the denied names have these addresses.
    pub fn denies_address(&self, address: IpAddr, of_names: &[IpAddr]) -> bool {
        let in_range = |address: &IpAddr| {
            self.0.iter().any(|host| matches!(host, DeniedHost::Range(range) if range.contains(address)))
        };
        let named = |address: &IpAddr| of_names.iter().any(|denied| denied.to_canonical() == *address);
        forms(address).any(|address| in_range(&address) || named(&address))
    }
}

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The address and whatever else the same packets reach: IPv4 within IPv6, and the machine itself under the address
/// of nobody.
fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let plain = address.to_canonical();
    let other = match plain {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(v6) => match v6.octets() {
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).into()),
            _ => None,
        },
        IpAddr::V4(_) => None,
    };
    [Some(address), Some(plain), other].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(list: &str) -> DeniedHosts {
        list.split(',').map(|host| host.parse().unwrap()).collect::<Vec<DeniedHost>>().into()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_denied_however_it_is_written() {
        let denied = denied("169.254.0.0/16,127.0.0.1/8,10.1.2.3,fd00::/8,::1");
        for bad in [
            "169.254.169.254",
            "127.9.9.9",
            "10.1.2.3",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "0.0.0.0",
            "::ffff:0.0.0.0",
            "fd12::1",
            "::1",
            "::",
        ] {
            assert!(denied.denies_address(address(bad), &[]), "{bad}");
        }
        for good in ["169.253.0.1", "10.1.2.4", "128.0.0.1", "2001:db8::1", "::2"] {
            assert!(!denied.denies_address(address(good), &[]), "{good}");
        }
        assert!(!DeniedHosts::default().denies_address(address("127.0.0.1"), &[]));
    }

    #[test]
    fn a_name_is_denied_however_it_is_written_and_so_is_its_address() {
        let denied = denied("Metadata.internal.,10.0.0.0/8");
        assert_eq!(denied.names().collect::<Vec<_>>(), ["metadata.internal"]);
        assert!(denied.denies_name("METADATA.internal") && denied.denies_name("metadata.internal."));
        assert!(!denied.denies_name("internal") && !denied.denies_name("x.metadata.internal"));
        let of_names = [address("192.0.2.1"), address("::ffff:192.0.2.2")];
        assert!(denied.denies_address(address("::ffff:192.0.2.1"), &of_names));
        assert!(denied.denies_address(address("192.0.2.2"), &of_names));
        assert!(!denied.denies_address(address("192.0.2.3"), &of_names));
    }

    #[test]
    fn what_is_neither_address_nor_name_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0", "999.1.1.1", "a b", "*.example", "https://x", "a..b", "/8", "[::1]"] {
            assert_eq!(text.parse::<DeniedHost>(), Err(NoHost), "{text}");
        }
    }
}
