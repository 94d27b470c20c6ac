//! One connection. Everything that is asked of it ends in time, and it is left as it was found or thrown away.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use super::login::{Encryption, Login, login};
use super::tls::Tls;
use super::{Error, hosts};
use crate::logic::connection::Settings;

/// What rows look like as text depends on these, and hashes on that; how a query is split depends on
/// standard_conforming_strings. Notices are not asked for: nobody could be shown them, as they carry values.
const FIXED: &str = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex \
                     -c extra_float_digits=1 -c standard_conforming_strings=on -c client_min_messages=error";
/// How long to wait for a cancellation to be delivered.
const CANCEL: Duration = Duration::from_secs(2);

/// An open connection and the task that drives it. Dropped, it is closed, and what it was still doing is canceled.
pub struct Session {
    pub(super) client: Client,
    /// Set while something is asked of it: it stays set where that failed or was given up half-way.
    pub(super) in_use: bool,
    settings: Settings,
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
        // Without being told, a server notices that nobody listens only when it next has something to say.
        if self.in_use
            && !self.client.is_closed()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(CANCEL, self.encryption.clone().cancel(self.client.cancel_token())));
        }
    }
}

impl Session {
    /// Connects within the settings' time, to the first host that will do.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        hosts::connect(settings).await
    }

    /// Connects to the one address of `config`.
    pub(super) async fn login(config: &Config, settings: &Settings, tls: Option<&Tls<'_>>) -> Result<Self, Error> {
        let Login { client, driver, encryption } = login(config, tls).await?;
        Ok(Self { client, in_use: false, settings: settings.clone(), driver, encryption })
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

/// All but where to, and how encrypted.
pub(super) fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config.user(&settings.user).dbname(&settings.dbname);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    let options = settings.options.as_deref().unwrap_or_default();
    config
        .options(format!("{options} {FIXED}").trim())
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
