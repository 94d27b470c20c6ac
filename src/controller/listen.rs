//! Who is notified of what: one connection listens to a database, for all resources that read it.

mod line;
mod name;
mod talk;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::line::{Line, Open, Subscriber};
use self::name::SessionName;
use super::lock::lock;
use super::wakes::Wakes;
use crate::logic::connection::Settings;
use crate::logic::detect::Quiet;

type Lines = HashMap<Endpoint, Weak<Open>>;

/// All connections that listen.
pub struct Listeners {
    lines: Arc<Mutex<Lines>>,
    bounds: Bounds,
    holder: String,
    /// The Lease that says whose turn it is.
    lease: OnceLock<String>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Listeners of databases of one server; each has two connections.
    pub per_server: usize,
    /// Further ones of one listener that wait for locks.
    pub waiting: usize,
}

/// What is listened to: a database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    /// With the addresses of those that are not looked up: whoever has another one means another server.
    hosts: Vec<(String, Option<IpAddr>, u16)>,
    dbname: String,
}

impl Endpoint {
    /// Where these settings lead.
    pub(super) fn of(settings: &Settings) -> Self {
        let hosts = settings.hosts.iter().map(|host| (host.name.clone(), host.address, host.port)).collect();
        Self { hosts, dbname: settings.dbname.clone() }
    }
}

/// What a resource hears of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It is not known yet.
    Starting,
    /// All that is committed is notified, or read from time to time where it is too much: for long, of these tables.
    Listening(Vec<Quiet>),
    /// Nothing is to be relied on, and why.
    Not(String),
}

impl Hearing {
    /// Why nothing is to be relied on.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Self::Starting => Some("the connection for notifications has not come about yet"),
            Self::Listening(_) => None,
            Self::Not(why) => Some(why),
        }
    }
}

/// What a resource wants to be notified of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// How to connect.
    pub settings: Settings,
    /// The tables, and how many slots the trigger of each has.
    pub tables: Vec<(i64, i32)>,
    /// Those of them after whose changes rows can be read by keys.
    pub keyed: Vec<Keyed>,
}

/// A table whose changes are told by keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The table.
    pub table: u32,
    /// The columns of its key.
    pub columns: Vec<String>,
    /// Whether the query's rows are called by it.
    pub is_first: bool,
}

/// Ended when it is dropped.
pub struct Subscription {
    line: Arc<Open>,
    id: u64,
    interest: Interest,
    hearing: watch::Receiver<Hearing>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.line.leave(self.id);
    }
}

impl Subscription {
    /// What it is for.
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// What is heard.
    pub fn hearing(&self) -> Hearing {
        self.hearing.borrow().clone()
    }

    /// Waits until something else is heard.
    pub async fn changed(&mut self) {
        if self.hearing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it is known whether something is heard, and not for long.
    pub async fn settled(&mut self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.hearing.wait_for(|hearing| *hearing != Hearing::Starting)).await;
    }

    /// Rows cannot be read for now.
    pub fn cannot_read(&self) {
        self.line.cannot_read(self.id);
    }

    /// All rows were read from `began` on, which took so long and changed so many objects.
    pub fn read(&self, began: Instant, took: Duration, changed: usize) {
        self.line.read(self.id, began, took, changed);
    }
}

impl Listeners {
    /// No connection yet. `holder` is a name that no other process has, past or present.
    pub fn new(bounds: Bounds, holder: String) -> Self {
        Self { lines: Arc::default(), bounds, holder, lease: OnceLock::new() }
    }

    /// This process holds the Lease with this uid: sessions of others who held it before are of no use any more.
    pub fn lead(&self, lease: &str) {
        self.lease.get_or_init(|| lease.to_owned());
    }

    /// Listens for a resource. An error where there are as many listeners as there may be.
    pub fn subscribe(&self, interest: Interest, wakes: Arc<Wakes>) -> Result<Subscription, String> {
        let endpoint = Endpoint::of(&interest.settings);
        let line = self.line(&endpoint)?;
        let (sender, hearing) = watch::channel(Hearing::Starting);
        let id = line.join(Subscriber { interest: interest.clone(), wakes, hearing: sender, reads: true });
        Ok(Subscription { line, id, interest, hearing })
    }

    /// How many there are that have a connection and that have none, and how full the fullest queue of notifications was.
    pub fn census(&self) -> (usize, usize, f64) {
        let lines = lock(&self.lines);
        let usages: Vec<Option<f64>> = lines.values().filter_map(Weak::upgrade).map(|line| line.usage()).collect();
        let up: Vec<f64> = usages.iter().copied().flatten().collect();
        (up.len(), usages.len() - up.len(), up.iter().copied().fold(0.0, f64::max))
    }

    fn line(&self, endpoint: &Endpoint) -> Result<Arc<Open>, String> {
        let mut lines = lock(&self.lines);
        lines.retain(|_, line| line.strong_count() > 0);
        if let Some(line) = lines.get(endpoint).and_then(Weak::upgrade) {
            return Ok(line);
        }
        let is_one = |(name, _, port): &(String, Option<IpAddr>, u16)| {
            endpoint.hosts.iter().any(|(other, _, of_other)| (other, of_other) == (name, port))
        };
        let shares_server = |other: &&Endpoint| other.hosts.iter().any(is_one);
        if lines.keys().filter(shares_server).count() >= self.bounds.per_server {
            let most = self.bounds.per_server;
            return Err(format!(
                "the operator listens to {most} databases of this server (--max-listeners-per-server)"
            ));
        }
        let own = SessionName::new(self.lease.get().map(String::as_str), &self.holder);
        let (name, of) = (own.of(endpoint), endpoint.clone());
        let all = self.lines.clone();
        let behind = move |name: Option<&str>| {
            own.behind(name, &of, |name| {
                let lines = lock(&all);
                lines.iter().any(|(endpoint, line)| line.strong_count() > 0 && own.of(endpoint) == name)
            })
        };
        let line = Open::start(Line::new(name, self.bounds.waiting, Box::new(behind)));
        lines.insert(endpoint.clone(), Arc::downgrade(&line));
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::connection::Host;

    #[test]
    fn while_it_is_not_known_whether_anything_is_heard_there_is_a_reason_why_not() {
        assert!(Hearing::Starting.why_not().is_some_and(|why| why.contains("not come about yet")));
        assert_eq!(Hearing::Not("why".into()).why_not(), Some("why"));
        assert_eq!(Hearing::Listening(Vec::new()).why_not(), None);
    }

    #[test]
    fn a_host_at_another_address_is_another_server() {
        let at = |address: Option<&str>| {
            let address = address.map(|address| address.parse().unwrap());
            Endpoint::of(&Settings {
                hosts: vec![Host { name: "db".into(), address, port: 5432 }],
                ..Settings::default()
            })
        };
        assert_eq!(at(None), at(None));
        assert_ne!(at(Some("10.0.0.1")), at(None), "whose notifications would be somebody else's");
        assert_ne!(at(Some("10.0.0.1")), at(Some("10.0.0.2")));
    }
}
