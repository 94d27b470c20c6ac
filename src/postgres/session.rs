//! One connection. Everything that is asked of it ends in time, and it is left as it was found or thrown away.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use super::error::{Error, Pooled, SILENT};
use super::hosts;
use super::login::{Ear, Encryption, Login, login};
use super::pool::Held;
use super::pooler::Mark;
use super::tls::Tls;
use crate::logic::connection::{Host, Settings};
use crate::logic::version;

/// How long to wait for a cancellation to be delivered.
const CANCEL: Duration = Duration::from_secs(2);
/// On a connection that stays, a server that does not answer a small statement for so long does not answer at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// An open connection and the task that drives it. Dropped, it is closed, and what it was still doing is canceled.
pub struct Session {
    pub(super) client: Client,
    /// Set while something is asked of it: it stays set where that failed or was given up half-way.
    pub(super) in_use: bool,
    /// Whether it is the server's own, rather than one that a pooler lends for a transaction at a time.
    pub(super) direct: bool,
    /// Host and port it leads to.
    pub(super) server: (String, u16),
    /// Whether the next one may lead to a better server: it is not kept.
    pub(super) is_stopgap: bool,
    /// When it was opened.
    pub(super) opened: Instant,
    /// What a pool counts it by, until it is closed.
    pub(super) held: Held,
    /// Who is told of notifications.
    pub(super) ear: Ear,
    driver: JoinHandle<()>,
    encryption: Encryption,
}

impl fmt::Debug for Session {
    /// Tells nothing of the connection's settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
        // Without being told, a server notices that nobody listens only when it next has something to say. One behind a
        // pooler is asked to look for that itself: the pooler has forgotten by now what it ran for us.
        if self.in_use
            && self.direct
            && !self.client.is_closed()
            && let Ok(runtime) = Handle::try_current()
        {
            let (token, encryption) = (self.client.cancel_token(), self.encryption.clone());
            let held = std::mem::take(&mut self.held);
            runtime.spawn(async move {
                let _ = timeout(CANCEL, encryption.cancel(token)).await;
                drop(held);
            });
        }
    }
}

impl Session {
    /// Connects within the settings' time, to the first host that will do.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        hosts::connect(settings).await
    }

    /// Connects to one address of a host. Ends in time only if its caller sees to it.
    pub(super) async fn connect_to(
        settings: &Settings,
        host: &Host,
        address: IpAddr,
        tls: Option<&Tls<'_>>,
    ) -> Result<Self, Error> {
        let mark = Mark::new();
        let session = match Self::open(settings, host, address, tls, &mark.options(settings.options.as_deref())).await {
            // PgBouncer refuses options, unless it is told to leave them out.
            Err(Error::Pooled(Pooled::Options)) => Self::open(settings, host, address, tls, "").await?,
            opened => {
                let mut session = opened?;
                session.direct = mark.has_arrived(&session.client).await?;
                session
            }
        };
        if !session.direct && settings.options.as_ref().is_some_and(|options| !options.trim().is_empty()) {
            return Err(Error::Pooled(Pooled::Options));
        }
        Ok(session)
    }

    async fn open(
        settings: &Settings,
        host: &Host,
        address: IpAddr,
        tls: Option<&Tls<'_>>,
        options: &str,
    ) -> Result<Self, Error> {
        let mut config = config(settings, options);
        // The name is for certificates; it is not looked up again.
        config.host(&host.name).hostaddr(address).port(host.port);
        let Login { client, driver, encryption, ear, version } = login(&config, tls).await?;
        version::check(version.as_deref()).map_err(Error::Version)?;
        Ok(Self {
            client,
            in_use: false,
            direct: false,
            server: (host.name.clone(), host.port),
            is_stopgap: false,
            opened: Instant::now(),
            held: Held::default(),
            ear,
            driver,
            encryption,
        })
    }

    /// Lets it stay open and wait for as long as it takes, whatever the role's settings are.
    pub(super) async fn stay(&self) -> Result<(), Error> {
        const ENDLESS: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0; \
                               SET idle_in_transaction_session_timeout = 0";
        self.execute(ENDLESS, PATIENCE, "the session").await
    }

    /// Runs a small statement that brings no rows and has to end within this time; `which` begins a sentence about it.
    pub(super) async fn execute(&self, sql: &str, limit: Duration, which: &str) -> Result<(), Error> {
        let done = timeout(limit, self.client.batch_execute(sql)).await.map_err(|_| SILENT)?;
        done.map_err(|error| Error::ours(&error, which))
    }

    /// Waits until the connection is gone. Of no use afterwards.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.driver).await;
    }

    /// Whether it is of no use any more: the connection is gone, or what was asked of it last did not end well.
    pub fn is_closed(&self) -> bool {
        self.in_use || self.client.is_closed()
    }
}

/// All but where to, and how encrypted.
fn config(settings: &Settings, options: &str) -> Config {
    let mut config = Config::new();
    config.user(&settings.user).dbname(&settings.dbname);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    // Empty ones would be sent, too.
    if !options.is_empty() {
        config.options(options);
    }
    config
        .application_name(settings.application_name.as_deref().unwrap_or("db-query-operator"))
        .keepalives(settings.network.keepalives);
    if let Some(idle) = settings.network.idle {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = settings.network.interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = settings.network.count {
        config.keepalives_retries(count);
    }
    if let Some(timeout) = settings.network.unacknowledged {
        config.tcp_user_timeout(timeout);
    }
    config
}
