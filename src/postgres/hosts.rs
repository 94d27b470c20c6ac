//! Which of several hosts, and which of their addresses: those that are not denied, in order, until one will do.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::SILENT;
use super::tls::Tls;
use super::{Error, Session};
use crate::logic::connection::{Host, Settings, Target};
use crate::logic::denied::DeniedHosts;

/// How long to wait for the addresses of a denied name.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Whether a server is of the kind that is wanted.
enum Fit {
    Yes,
    OnlyIfNoOther,
    No,
}

/// Connects within the settings' time, however silent the servers. Hosts and their addresses are tried in order, and
/// each gets its share of the time that is left; a login that is refused is not tried elsewhere, as libpq has it.
pub(super) async fn connect(settings: &Settings) -> Result<Session, Error> {
    let start = Instant::now();
    let share = |others: usize| {
        let left = settings.connect_timeout.saturating_sub(start.elapsed());
        left / u32::try_from(others).unwrap_or(u32::MAX)
    };
    let tls = match &settings.tls {
        Some(tls) => Some(Tls::new(tls).await?),
        None => None,
    };
    let denied = addresses_of_names(&settings.denied).await;
    let mut hosts: Vec<&Host> = settings.hosts.iter().collect();
    shuffle_if(settings.shuffle, &mut hosts);
    let mut failure = Error::Unreachable("no host is given");
    let (mut second_best, mut tried) = (None, 0);
    for (index, host) in hosts.iter().enumerate() {
        let until = Instant::now() + share(hosts.len() - index);
        let addresses = match addresses(settings, host, &denied, until).await {
            Ok(addresses) => addresses,
            Err(error) => {
                (failure, tried) = (error, tried + 1);
                continue;
            }
        };
        tried += addresses.len();
        for (index, address) in addresses.iter().enumerate() {
            let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let limit = until.saturating_duration_since(Instant::now()) / others;
            match timeout(limit, at(settings, host, *address, tls.as_ref())).await {
                Ok(Ok((session, Fit::Yes))) => return Ok(session),
                Ok(Ok((session, Fit::OnlyIfNoOther))) => second_best = second_best.or(Some(session)),
                Ok(Ok((_, Fit::No))) => {
                    failure = Error::Unreachable("no host is of the kind that target_session_attrs asks for");
                }
                Ok(Err(error @ Error::Unreachable(_))) => failure = error,
                Ok(Err(error)) => return Err(error),
                Err(_) => failure = SILENT,
            }
        }
    }
    // Where there was no choice, there is none the next time either.
    let is_stopgap = settings.target == Target::PreferPrimary && tried > 1;
    let mut session = second_best.ok_or(failure)?;
    session.is_stopgap = is_stopgap;
    Ok(session)
}

async fn at(settings: &Settings, host: &Host, address: IpAddr, tls: Option<&Tls<'_>>) -> Result<(Session, Fit), Error> {
    let session = Session::connect_to(settings, host, address, tls).await?;
    let fit = fit(&session.client, settings.target).await?;
    Ok((session, fit))
}

/// Where a host is, but for what is denied.
async fn addresses(settings: &Settings, host: &Host, denied: &[IpAddr], until: Instant) -> Result<Vec<IpAddr>, Error> {
    if settings.denied.denies_name(&host.name) {
        return Err(Error::HostDenied);
    }
    let mut addresses = match host.address {
        Some(address) => vec![address],
        None => look_up(&host.name, until.saturating_duration_since(Instant::now())).await?,
    };
    addresses.retain(|address| !settings.denied.denies_address(*address, denied));
    shuffle_if(settings.shuffle, &mut addresses);
    if addresses.is_empty() { Err(Error::HostDenied) } else { Ok(addresses) }
}

/// At least one.
async fn look_up(name: &str, limit: Duration) -> Result<Vec<IpAddr>, Error> {
    let found = timeout(limit, lookup_host((name, 0))).await.map_err(|_| SILENT)?;
    let addresses: Vec<IpAddr> = found.into_iter().flatten().map(|address| address.ip()).collect();
    if addresses.is_empty() { Err(Error::Unreachable("the host's name cannot be resolved")) } else { Ok(addresses) }
}

/// The addresses that denied names have now. A name without any denies nothing but itself.
async fn addresses_of_names(denied: &DeniedHosts) -> Vec<IpAddr> {
    let found = join_all(denied.names().map(|name| look_up(name, LOOK_UP))).await;
    found.into_iter().flatten().flatten().collect()
}

/// In an order that is different each time.
fn shuffle_if<T>(wanted: bool, list: &mut [T]) {
    if wanted {
        let random = RandomState::new();
        let mut position = 0_usize;
        list.sort_by_cached_key(|_| {
            position += 1;
            random.hash_one(position)
        });
    }
}

/// Asks the server of what kind it is, if that matters.
async fn fit(client: &Client, target: Target) -> Result<Fit, Error> {
    if target == Target::Any {
        return Ok(Fit::Yes);
    }
    let ask = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
    let answer = client.simple_query(ask).await.map_err(|error| Error::ours(&error, "target_session_attrs"))?;
    let (mut is_standby, mut is_read_only) = (false, false);
    for message in &answer {
        if let SimpleQueryMessage::Row(row) = message {
            is_standby = row.get(0) == Some("t");
            is_read_only = row.get(1) == Some("on");
        }
    }
    let fits = match target {
        Target::Any => true,
        Target::ReadWrite => !is_read_only,
        Target::ReadOnly => is_read_only,
        Target::Primary | Target::PreferPrimary => !is_standby,
        Target::Standby | Target::PreferStandby => is_standby,
    };
    Ok(match fits {
        true => Fit::Yes,
        false if matches!(target, Target::PreferStandby | Target::PreferPrimary) => Fit::OnlyIfNoOther,
        false => Fit::No,
    })
}
