//! URLs taken apart and put together, as Go's `net/url` does.

use std::net::Ipv6Addr;
use std::sync::Arc;

use gotmpl::Value;
use percent_encoding::percent_decode_str;

use super::bounds;
use super::call::{Call, Map, Output, Reason, text};

/// Where a text stands in a URL: which characters need no escape there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    User,
    Host,
    Fragment,
}

impl Place {
    fn is_plain(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || b"-_.~".contains(&byte)
            || match self {
                Self::Path => b"$&+,/:;=@",
                Self::User => &b"$&+,;="[..],
                Self::Host => b"!$&'()*+,;=:[]<>\"",
                Self::Fragment => b"$&+,/:;=@?!()*",
            }
            .contains(&byte)
    }

    fn escaped(self, s: &str) -> String {
        let mut out = String::with_capacity(s.len());
        for byte in s.bytes() {
            if self.is_plain(byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(percent_encoding::percent_encode_byte(byte));
            }
        }
        out
    }

    fn unescaped(self, s: &str) -> Option<String> {
        let escape = |rest: &str| {
            let high = rest.as_bytes().first().copied().filter(u8::is_ascii_hexdigit);
            let low = rest.as_bytes().get(1).copied().filter(u8::is_ascii_hexdigit);
            // In hosts, only what is not ASCII is escaped, and a percent sign.
            high.zip(low).is_some_and(|(high, _)| self != Self::Host || high >= b'8' || rest.starts_with("25"))
        };
        let bad_host = |byte: u8| byte.is_ascii() && byte != b'%' && !self.is_plain(byte);
        if !s.split('%').skip(1).all(escape) || self == Self::Host && s.bytes().any(bad_host) {
            return None;
        }
        percent_decode_str(s).decode_utf8().ok().map(String::from)
    }
}

/// The parts of a URL, without their escapes.
#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    user: Option<User>,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

struct User {
    name: String,
    password: Option<String>,
}

impl Url {
    fn read(s: &str) -> Option<Self> {
        let (s, fragment) = s.split_once('#').unwrap_or((s, ""));
        let fragment = Place::Fragment.unescaped(fragment)?;
        if s.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (scheme, rest) = scheme(s)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url =
            Self { scheme: scheme.to_ascii_lowercase(), query: query.to_owned(), fragment, ..Self::default() };
        if !rest.starts_with('/') && !scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Some(url);
        }
        let first = rest.split('/').next().unwrap_or_default();
        if !rest.starts_with('/') && first.contains(':') {
            return None;
        }
        let mut path = rest;
        if let Some(after) = rest.strip_prefix("//").filter(|after| !scheme.is_empty() || !after.starts_with('/')) {
            let (authority, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
            let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
            url.host = read_host(host, &url.scheme)?;
            url.user = user.map(User::read).map_or(Some(None), |user| user.map(Some))?;
            path = rest;
        }
        url.path = Place::Path.unescaped(path)?;
        Some(url)
    }

    fn written(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if !self.opaque.is_empty() {
            out.push_str(&self.opaque);
        } else {
            if !self.host.is_empty() || self.user.is_some() || !self.scheme.is_empty() && !self.path.is_empty() {
                out.push_str("//");
                if let Some(user) = &self.user {
                    out.push_str(&user.written());
                    out.push('@');
                }
                out.push_str(&Place::Host.escaped(&self.host));
            }
            let path = if self.path == "*" { self.path.clone() } else { Place::Path.escaped(&self.path) };
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|first| first.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        }
        if !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&Place::Fragment.escaped(&self.fragment));
        }
        out
    }

    /// The host without port and brackets.
    fn hostname(&self) -> &str {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        };
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

/// The scheme, empty if there is none, and what follows it.
fn scheme(s: &str) -> Option<(&str, &str)> {
    let end = s.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    match end.and_then(|end| s.get(end..)?.strip_prefix(':').map(|rest| (s.get(..end).unwrap_or_default(), rest))) {
        Some(("", _)) => None,
        Some((scheme, rest)) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) => Some((scheme, rest)),
        _ => Some(("", s)),
    }
}

fn read_host(host: &str, scheme: &str) -> Option<String> {
    let is_port = |after: &str| {
        after.is_empty() || after.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match host.rfind('[') {
        None => {
            // Several hosts with ports are no web address, but a database may have them.
            let web = matches!(scheme, "http" | "https");
            let colon = if web { host.find(':') } else { host.rfind(':') };
            let port = colon.and_then(|colon| host.get(colon..)).unwrap_or_default();
            is_port(port).then(|| Place::Host.unescaped(host))?
        }
        Some(0) => {
            let (address, port) = host.get(1..)?.rsplit_once(']')?;
            let (numbers, zone) = address.split_once("%25").unwrap_or((address, ""));
            let zone_fits = zone.bytes().all(|byte| byte == b'%' || Place::Host.is_plain(byte) || !byte.is_ascii());
            (is_port(port) && numbers.parse::<Ipv6Addr>().is_ok() && zone_fits).then_some(())?;
            let zone = if zone.is_empty() { zone.to_owned() } else { format!("%{}", Place::Path.unescaped(zone)?) };
            Some(format!("[{numbers}{zone}]{port}"))
        }
        Some(_) => None,
    }
}

impl User {
    fn read(s: &str) -> Option<Self> {
        if !s.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)) {
            return None;
        }
        let (name, password) = s.split_once(':').map_or((s, None), |(name, password)| (name, Some(password)));
        let password = password.map(|password| Place::User.unescaped(password));
        Some(Self { name: Place::User.unescaped(name)?, password: password.map_or(Some(None), |p| p.map(Some))? })
    }

    fn written(&self) -> String {
        let name = Place::User.escaped(&self.name);
        match &self.password {
            Some(password) => format!("{name}:{}", Place::User.escaped(password)),
            None => name,
        }
    }
}

const NO_URL: Reason = Reason::Said("the text is not a URL");

pub fn url_parse(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let url = if s == "*" { Url { path: s.to_owned(), ..Url::default() } } else { Url::read(s).ok_or(NO_URL)? };
    let user = url.user.as_ref().map(User::written).unwrap_or_default();
    let hostname = url.hostname().to_owned();
    let parts = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", user),
    ];
    let part = |(key, part): (&str, String)| (Arc::from(key), Value::String(part.into()));
    bounds::dict(parts.into_iter().map(part).collect::<Map>())
}

pub fn url_join(call: &Call) -> Output {
    let (parts,): (&Map,) = call.read()?;
    let part = |key: &str| match parts.get(key) {
        None => Ok(""),
        Some(Value::String(part)) => Ok(&**part),
        Some(_) => Err(Reason::Said("a part of the URL is not text")),
    };
    let user = match part("userinfo")? {
        "" => None,
        user => Url::read(&format!("proto://{user}@host")).ok_or(Reason::Said("the userinfo cannot be read"))?.user,
    };
    let url = Url {
        scheme: part("scheme")?.to_owned(),
        opaque: part("opaque")?.to_owned(),
        user,
        host: part("host")?.to_owned(),
        path: part("path")?.to_owned(),
        query: part("query")?.to_owned(),
        fragment: part("fragment")?.to_owned(),
    };
    text(url.written())
}
