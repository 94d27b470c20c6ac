//! One connection. Everything that is asked of it ends in time, and it is left as it was found or thrown away.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

use super::Error;
use crate::logic::connection::{Settings, Target};

/// What rows look like as text depends on these, and hashes on that.
const FIXED: &str =
    "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex -c extra_float_digits=1";
/// A peer that is gone without a word is noticed after this.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long to wait for a cancellation to be delivered.
const CANCEL: Duration = Duration::from_secs(2);

/// An open connection and the task that drives it. Dropped, it is closed.
pub struct Session {
    pub(super) client: Client,
    settings: Settings,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects within the settings' time, however silent the server.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        let config = config(settings);
        let connect = timeout(settings.connect_timeout, config.connect(NoTls)).await;
        let (client, connection) =
            connect.map_err(|_| Error::Unreachable("no answer in time"))?.map_err(|error| Error::connecting(&error))?;
        // An error of the connection is seen by whoever waits for an answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, settings: settings.clone(), driver })
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether it was made with these settings.
    pub fn is_for(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// Waits at most `limit`. Past it the server is told to cancel, and the session must not be used again.
    pub(super) async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        match timeout(limit, work).await {
            Ok(done) => Some(done),
            Err(_) => {
                let _ = timeout(CANCEL, self.client.cancel_token().cancel_query(NoTls)).await;
                None
            }
        }
    }
}

fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    for (host, port) in &settings.hosts {
        config.host(host).port(*port);
    }
    config.user(&settings.user).dbname(&settings.dbname);
    if let Some(password) = &settings.password {
        config.password(password);
    }
    let options = settings.options.as_deref().unwrap_or_default();
    config
        .options(format!("{options} {FIXED}").trim())
        .application_name(settings.application_name.as_deref().unwrap_or("db-query-operator"))
        .connect_timeout(settings.connect_timeout)
        .keepalives_idle(KEEPALIVE)
        .tcp_user_timeout(KEEPALIVE)
        .target_session_attrs(match settings.target {
            Target::Any => TargetSessionAttrs::Any,
            Target::ReadWrite => TargetSessionAttrs::ReadWrite,
            Target::ReadOnly => TargetSessionAttrs::ReadOnly,
        });
    config
}
