//! A connection to one address: encrypted or not, and in which order, is what sslmode says.

use std::sync::{Arc, OnceLock};

use futures::{StreamExt, stream};
use tokio::task::JoinHandle;
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Error;
use super::error::Way;
use super::tls::{Seen, Tls, TlsFault};
use crate::logic::connection::tls::{self as settings, Demand};

/// An open connection.
pub(super) struct Login {
    pub(super) client: Client,
    /// Moves its messages until it is closed.
    pub(super) driver: JoinHandle<()>,
    pub(super) encryption: Encryption,
    /// Who is told of notifications.
    pub(super) ear: Ear,
    /// What the server says of its version.
    pub(super) version: Option<String>,
}

/// Is called with the payload of each notification, by the task that moves the connection's messages: it must not wait
/// for anything, or the server's queue of notifications fills up.
pub type Heard = Box<dyn Fn(&str) + Send + Sync>;

/// Who is told of notifications, once somebody wants to know.
pub(super) type Ear = Arc<OnceLock<Heard>>;

/// How a connection is encrypted, for whatever else belongs to it.
#[derive(Clone)]
pub(super) enum Encryption {
    Plain,
    Tls(MakeRustlsConnect),
}

impl Encryption {
    /// Asks the server to stop what the connection does, in the same way that it was made.
    pub(super) async fn cancel(self, token: CancelToken) {
        // Whether it came to be known is not told by anybody; a server that is gone does nothing any more.
        let _ = match self {
            Self::Plain => token.cancel_query(NoTls).await,
            Self::Tls(tls) => token.cancel_query(tls).await,
        };
    }
}

/// Why there is none, and whether TLS was spoken.
struct Failure {
    error: Error,
    encrypted: bool,
}

/// Connects and logs in. `config` names one address and nothing of encryption; without `tls` there is none.
pub(super) async fn login(config: &Config, tls: Option<&Tls<'_>>) -> Result<Login, Error> {
    let Some(tls) = tls else { return plain(config, None).await };
    match tls.settings().demand {
        Demand::Require => encrypted(config, SslMode::Require, tls).await.map_err(|failure| failure.error),
        Demand::Prefer => match encrypted(config, SslMode::Prefer, tls).await {
            Ok(login) => Ok(login),
            Err(Failure { error, encrypted: true }) if may_differ(&error) => {
                plain(config, Some(tls)).await.map_err(|other| clearer(error, other))
            }
            Err(failure) => Err(failure.error),
        },
        Demand::Allow => match plain(config, Some(tls)).await {
            Err(error @ Error::LoginRefused(..)) => {
                encrypted(config, SslMode::Prefer, tls).await.map_err(|other| clearer(error, other.error))
            }
            done => done,
        },
    }
}

/// Whether a server may say something else in the other way, as libpq has it.
fn may_differ(error: &Error) -> bool {
    match error {
        Error::LoginRefused(..) => true,
        // Weaker than what was demanded is nobody's second choice.
        Error::Tls(fault) => !matches!(fault, TlsFault::NotBound | TlsFault::NotAsked),
        _ => false,
    }
}

/// Of two ways the one that got farther tells more: a server that takes nobody in that way says so first.
fn clearer(first: Error, second: Error) -> Error {
    if second.is_of_the_way() { first } else { second }
}

async fn plain(config: &Config, tls: Option<&Tls<'_>>) -> Result<Login, Error> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    if let Some(tls) = tls {
        config.channel_binding(channel_binding(tls.settings()));
        if tls.settings().server_must_ask {
            return Err(Error::Tls(TlsFault::NotAsked));
        }
    }
    connect(&config, NoTls, Encryption::Plain).await.map_err(|error| Error::connecting(&error, Way::Plain))
}

async fn encrypted(config: &Config, mode: SslMode, tls: &Tls<'_>) -> Result<Login, Failure> {
    let (connector, seen) = tls.connector().map_err(|error| Failure { error, encrypted: false })?;
    let settings = tls.settings();
    let mut config = config.clone();
    config.ssl_mode(mode).channel_binding(channel_binding(settings)).ssl_negotiation(match settings.direct {
        true => SslNegotiation::Direct,
        false => SslNegotiation::Postgres,
    });
    match connect(&config, connector.clone(), Encryption::Tls(connector)).await {
        Ok(_) if settings.server_must_ask && !seen.request() => {
            Err(Failure { error: Error::Tls(TlsFault::NotAsked), encrypted: true })
        }
        Ok(login) => Ok(login),
        Err(error) => {
            let way = way(settings, &seen);
            let error = match Error::connecting(&error, way) {
                Error::Tls(TlsFault::Handshake) if way == Way::WithCertificate => {
                    Error::Tls(TlsFault::ShownCertificate)
                }
                Error::Tls(TlsFault::Handshake) if settings.direct && !seen.certificate() => {
                    Error::Tls(TlsFault::NotDirect)
                }
                error => error,
            };
            let encrypted = seen.certificate() || matches!(error, Error::Tls(_));
            Err(Failure { error, encrypted })
        }
    }
}

fn way(settings: &settings::Tls, seen: &Arc<Seen>) -> Way {
    match (seen.certificate(), seen.request(), &settings.client) {
        (false, ..) => Way::Plain,
        (true, true, None) => Way::WithoutCertificate,
        (true, true, Some(_)) => Way::WithCertificate,
        (true, false, _) => Way::Encrypted,
    }
}

fn channel_binding(settings: &settings::Tls) -> ChannelBinding {
    match settings.channel_binding {
        settings::ChannelBinding::Disable => ChannelBinding::Disable,
        settings::ChannelBinding::Prefer => ChannelBinding::Prefer,
        settings::ChannelBinding::Require => ChannelBinding::Require,
    }
}

async fn connect<T>(config: &Config, tls: T, encryption: Encryption) -> Result<Login, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static, TlsConnect: Send>,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    let version = connection.parameter("server_version").map(str::to_owned);
    // Polled by hand, because the connection's own future writes the text of notices to the log. An error of the
    // connection is seen by whoever waits for an answer.
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    let ear = Ear::default();
    let heard = ear.clone();
    let driver = tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            if let (AsyncMessage::Notification(notification), Some(heard)) = (message, heard.get()) {
                heard(notification.payload());
            }
        }
    });
    Ok(Login { client, driver, encryption, ear, version })
}
