//! One connection. Everything that is asked of it ends in time, and it is left as it was found or thrown away.

use std::fmt;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

use super::Error;
use super::open::Open;
use crate::logic::connection::{Settings, Target};

/// What rows look like as text depends on these, and hashes on that; how a query is split depends on
/// standard_conforming_strings. Notices are not asked for: nobody could be shown them, as they carry values.
const FIXED: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex \
                     -c extra_float_digits=1 -c standard_conforming_strings=on -c client_min_messages=error";
/// A peer that is gone without a word is noticed after this.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long to wait for a cancellation to be delivered.
const CANCEL: Duration = Duration::from_secs(2);

/// An open connection and the task that drives it. Dropped, it is closed, and what it was still doing is canceled.
pub struct Session {
    pub(super) client: Client,
    /// Set while something is asked of it: it stays set where that failed or was given up half-way.
    pub(super) in_use: bool,
    settings: Settings,
    driver: JoinHandle<()>,
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
        // Without being told, a server notices that nobody listens only when it next has something to say.
        if self.in_use
            && !self.client.is_closed()
            && let Ok(runtime) = Handle::try_current()
        {
            let token = self.client.cancel_token();
            runtime.spawn(async move { timeout(CANCEL, token.cancel_query(NoTls)).await });
        }
    }
}

impl Session {
    /// Connects within the settings' time, however silent the server. Hosts are tried in order, and each gets its
    /// share of the time that is left; a login that is refused is not tried elsewhere, as libpq has it.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        let start = Instant::now();
        let mut failure = Error::Unreachable("no host is given");
        for (index, (host, port)) in settings.hosts.iter().enumerate() {
            let hosts_left = u32::try_from(settings.hosts.len() - index).unwrap_or(u32::MAX);
            let share = settings.connect_timeout.saturating_sub(start.elapsed()) / hosts_left;
            match Self::connect_to(settings, host, *port, share).await {
                Err(error @ Error::Unreachable(_)) => failure = error,
                done => return done,
            }
        }
        Err(failure)
    }

    async fn connect_to(settings: &Settings, host: &str, port: u16, limit: Duration) -> Result<Self, Error> {
        let config = config(settings, host, port, limit);
        let connect = timeout(limit, config.connect(NoTls)).await;
        let (client, mut connection) =
            connect.map_err(|_| Error::Unreachable("no answer in time"))?.map_err(|error| Error::connecting(&error))?;
        // Polled by hand, because the connection's own future writes the text of notices to the log. An error of the
        // connection is seen by whoever waits for an answer.
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        let open = Open::one_more();
        let driver = tokio::spawn(async move {
            let _open = open;
            while let Some(Ok(_)) = messages.next().await {}
        });
        Ok(Self { client, in_use: false, settings: settings.clone(), driver })
    }

    /// Whether it is of no use any more: the connection is gone, or what was asked of it last did not end well.
    pub fn is_closed(&self) -> bool {
        self.in_use || self.client.is_closed()
    }

    /// Whether it was made with these settings.
    pub fn is_for(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }
}

fn config(settings: &Settings, host: &str, port: u16, limit: Duration) -> Config {
    let mut config = Config::new();
    config.host(host).port(port).user(&settings.user).dbname(&settings.dbname);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    let options = settings.options.as_deref().unwrap_or_default();
    config
        .options(format!("{options} {FIXED}").trim())
        .application_name(settings.application_name.as_deref().unwrap_or("db-query-operator"))
        // For each address that the name stands for: a dead first one must leave time for the second.
        .connect_timeout(limit / 2)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE / 3)
        .keepalives_retries(3)
        .tcp_user_timeout(KEEPALIVE)
        .target_session_attrs(match settings.target {
            Target::Any => TargetSessionAttrs::Any,
            Target::ReadWrite => TargetSessionAttrs::ReadWrite,
            Target::ReadOnly => TargetSessionAttrs::ReadOnly,
        });
    config
}
